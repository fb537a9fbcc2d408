"""Which images a run of `ovparts predict` is about, and where their results go."""

import pytest

from ovparts_hf.cli.sources import find_images, is_video, result_folders


def test_every_image_gets_a_place_of_its_own(photos, tmp_path):
    (photos / "first.jpg").touch()
    (photos / "sub" / "first.png").touch()
    found = find_images(
        [str(photos), str(photos / "sub" / "first.png"), "http://host/a%20b.png?size=2"], tmp_path / "x"
    )
    targets = result_folders(list(found), tmp_path / "out")
    assert {str(path.relative_to(tmp_path / "out")) for path in targets.values()} == {
        "first.jpg",
        "first.png",
        "sub/second",
        "sub/first",
        "a b",
    }
    twice = [("one/a.png", photos / "a.png"), ("two/a.png", photos / "a.png")]
    assert len(set(result_folders(twice, tmp_path).values())) == 2


def test_earlier_results_are_no_images(photos):
    (photos / "out" / "first").mkdir(parents=True)
    (photos / "out" / "first" / "overlay.png").touch()
    names = [str(name) for _, name in find_images([str(photos)], photos / "out")]
    assert names == ["first.png", "sub/second.jpg"]


def test_brackets_in_a_name_are_no_pattern(tmp_path):
    path = tmp_path / "photo[1].png"
    path.touch()
    assert [source for source, _ in find_images([str(path)], tmp_path / "out")] == [str(path)]


@pytest.mark.parametrize("path", ["", "/", "/a/..", "/a/%2e%2e", "/..%2f.."])
def test_results_of_urls_stay_below_the_folder(path, tmp_path):
    [(_, name)] = find_images([f"http://host{path}"], tmp_path)
    assert name.parts and name.parts[0] not in ("..", "/")


def test_videos_are_known_by_their_names_and_only_if_they_are_named(photos):
    (photos / "clip.MP4").touch()
    assert is_video(str(photos / "clip.MP4")) and not is_video("http://host/clip.mp4") and not is_video("clip.jpg")
    assert [name.name for _, name in find_images([str(photos)], photos / "out")] == ["first.png", "second.jpg"]
    for source in (photos / "clip.MP4", photos / "*.MP4"):
        assert [name.name for _, name in find_images([str(source)], photos / "out")] == ["clip.MP4"]
