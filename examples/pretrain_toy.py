"""Pretrains the small CLIP and the small CLIPSeg of the toy world that ship with the library.

They are to the toy world what openai/clip-vit-base-patch16 and CIDAS/clipseg-rd64-refined are to the benchmark: models
that know words and objects, but were never shown where a part is.

1. Words: CLIP learns from close-ups and their captions, as whole sentences and as short phrases ("black wheel").
2. Regions: CLIPSeg adds a decoder. It learns to find whole objects ("bus", "red bus") by their masks, and other words
   of a caption where this CLIP itself sees them inside the object.

No part mask is used. The shipped weights come from

    python examples/pretrain_toy.py --output-dir ovparts_hf/toy

which is deterministic on one machine with a fixed number of threads.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from toy_captions import caption, phrases
from tqdm import tqdm
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPTokenizer,
    ViTImageProcessorPil,
)

from ovparts_hf.toy.drawing.pencil import COLOURS
from ovparts_hf.toy.world import TOY_WORLD, draw

logger = logging.getLogger("pretrain_toy")

IMAGE_SIZE = 96
PATCH_SIZE = 8
GRID = IMAGE_SIZE // PATCH_SIZE
MEAN, STD = 0.5, 0.25
MAX_TOKENS = 40
MERGES = 300
VISION = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 5, "num_attention_heads": 3}
TEXT = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
PROJECTION = 64
DECODER = {
    "extract_layers": [1, 3, 4],
    "reduce_dim": 64,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 128,
    "use_complex_transposed_convolution": True,
}
FINE_TUNING = {"none_weight": 1.0, "eval_label_size": None}  # for the part model that starts from here


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("ovparts_hf/toy"))
    parser.add_argument("--images", type=int, default=16000, help="drawn once per kind and used many times")
    parser.add_argument("--word-steps", type=int, default=5000)
    parser.add_argument("--object-steps", type=int, default=900)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep-clip", action="store_true", help="start from the CLIP in the output folder at stage 2")
    return parser.parse_args()


@dataclass
class DrawnImages:
    """Drawn images in memory.

    Attributes:
        pixels: uint8 (N, 3, S, S).
        objects: uint8 (N, S, S), object ids; the ignore index elsewhere.
        figures: Per image, its objects in words.
    """

    pixels: torch.Tensor
    objects: torch.Tensor
    figures: list


def draw_images(count: int, size: int, close_up: bool) -> DrawnImages:
    """Draws images of a split of their own; half of them show objects that lack parts."""
    pixels = torch.empty(count, 3, size, size, dtype=torch.uint8)
    objects = torch.empty(count, size, size, dtype=torch.uint8)
    figures = []
    for number in tqdm(range(count), desc="draw"):
        scene = draw("pretrain", number, close_up=close_up, incomplete=number % 2 == 0)
        image = scene.image.resize((size, size), resample=2)
        pixels[number] = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        rows = np.arange(size) * scene.object_map.shape[0] // size
        columns = np.arange(size) * scene.object_map.shape[1] // size
        objects[number] = torch.from_numpy(scene.object_map[np.ix_(rows, columns)])
        figures.append(scene.figures)
    return DrawnImages(pixels, objects, figures)


def normalize(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 images as the image processor would give them, float32."""
    return (pixels.float() / 255 - MEAN) / STD


def train_tokenizer(texts: list[str]) -> CLIPTokenizer:
    """A byte-level BPE tokenizer like CLIP's: any text can be written with it, frequent words are one token."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(False)])
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=10 * MERGES,
        end_of_word_suffix="</w>",
        initial_alphabet=alphabet,
        show_progress=False,
        min_frequency=2,
    )
    bpe.train_from_iterator(texts, trainer)
    with tempfile.TemporaryDirectory() as folder:
        _, merges_file = bpe.model.save(folder)
        merges = [tuple(line.split()) for line in Path(merges_file).read_text("utf-8").splitlines()[1:]]
    symbols = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(merge) for merge in merges)]
    vocabulary = {symbol: i for i, symbol in enumerate([*symbols, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> dict[str, torch.Tensor]:
    """Token ids padded to the longest text."""
    return dict(tokenizer(texts, padding=True, truncation=True, return_tensors="pt"))


def clip_config(tokenizer: CLIPTokenizer) -> dict:
    """What CLIP and CLIPSeg have in common."""
    text = TEXT | dict(
        vocab_size=len(tokenizer),
        max_position_embeddings=MAX_TOKENS,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_act="gelu",
    )
    vision = VISION | dict(image_size=IMAGE_SIZE, patch_size=PATCH_SIZE, hidden_act="gelu")
    return dict(text_config=text, vision_config=vision, projection_dim=PROJECTION)


def caption_loss(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """CLIP's symmetric contrastive loss between images and their captions, both (B, D)."""
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class PhraseLoss(nn.Module):
    """Asks of each phrase whether an image shows it, given only that one of the image's tokens must."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def forward(
        self, tokens: torch.Tensor, words: torch.Tensor, present: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """Binary cross-entropy of "at least one token shows the phrase" (noisy or), both answers weighted alike.

        Args:
            tokens: float (B, T, D), image tokens in the space of text features.
            words: float (P, D), phrase features.
            present: bool (B, P), which phrase belongs to which image.
            scale: Inverse temperature.
        """
        logits = scale * F.normalize(tokens, dim=-1) @ F.normalize(words, dim=-1).T + self.bias
        log_none = -F.softplus(logits).sum(dim=1)
        log_any = torch.log(-torch.expm1(log_none.clamp(max=-1e-6)))
        return -log_any[present].mean() - log_none[~present].mean()


def patch_features(clip: CLIPModel, hidden: torch.Tensor) -> torch.Tensor:
    """Patch tokens of the last layer in the space of text features, (B, T, D)."""
    return clip.visual_projection(clip.vision_model.post_layernorm(hidden[:, 1:]))


def choose_phrases(figures: list, rng: random.Random) -> tuple[list[str], torch.Tensor]:
    """The phrases of these images, few of those with a colour; and which image has which, bool (B, P)."""
    of_image = [set(phrases(f)) for f in figures]
    every = sorted(set().union(*of_image))
    coloured = [phrase for phrase in every if phrase.split()[0] in COLOURS]
    plain = sorted(set(every) - set(coloured))
    chosen = plain + rng.sample(coloured, k=min(len(coloured), len(plain) // 3))
    return chosen, torch.tensor([[phrase in own for phrase in chosen] for own in of_image])


def schedule(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A linear warm-up over 6 % of the steps, then a cosine that would reach zero after 1.2 times as many."""
    warm_up, horizon = max(1, 6 * steps // 100), 1.2 * steps
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * step / horizon))),
    )


def learn_words(options: argparse.Namespace, images: DrawnImages, tokenizer: CLIPTokenizer) -> CLIPModel:
    """Stage 1: CLIP learns words from close-ups and their captions."""
    clip = CLIPModel(CLIPConfig(**clip_config(tokenizer)))
    compare = PhraseLoss()

    def losses(rng: random.Random) -> dict[str, torch.Tensor]:
        batch = rng.sample(range(len(images.figures)), k=options.batch_size)
        figures = [images.figures[i] for i in batch]
        pixels = normalize(images.pixels[batch])
        if rng.random() < 0.5:
            pixels = pixels.flip(-1)
        vision = clip.vision_model(pixels, interpolate_pos_encoding=True)
        found = word_losses(clip, compare, vision.pooler_output, figures, tokenizer, rng)
        patches = patch_features(clip, vision.last_hidden_state)
        found["patch"] = compare(patches, found.pop("words"), found.pop("present"), clip.logit_scale.exp())
        return found

    fit([*clip.parameters(), *compare.parameters()], losses, options.word_steps, options.learning_rate, options.seed)
    return clip.eval()


def word_losses(
    clip: CLIPModel,
    compare: PhraseLoss,
    pooled: torch.Tensor,
    figures: list,
    tokenizer: CLIPTokenizer,
    rng: random.Random,
) -> dict[str, torch.Tensor]:
    """Losses of whole images against captions and phrases; and the phrases' features and presence."""
    captions = clip.get_text_features(**tokenize(tokenizer, [caption(f, rng) for f in figures])).pooler_output
    chosen, present = choose_phrases(figures, rng)
    words = clip.get_text_features(**tokenize(tokenizer, chosen)).pooler_output
    whole, scale = clip.visual_projection(pooled), clip.logit_scale.exp()
    return {
        "caption": 0.3 * caption_loss(whole, captions, scale),
        "image": compare(whole[:, None], words, present, scale),
        "words": words,
        "present": present,
    }


def fit(parameters: list, losses: Callable, steps: int, learning_rate: float, seed: int) -> None:
    """Minimises the sum of `losses(rng)` with AdamW."""
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(parameters, learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    scheduler = schedule(optimizer, steps)
    for step in tqdm(range(steps)):
        found = losses(rng)
        optimizer.zero_grad()
        sum(found.values()).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        if step % 100 == 0:
            logger.info("step %d: %s", step, {name: round(loss.item(), 3) for name, loss in found.items()})


def learn_regions(
    options: argparse.Namespace, images: DrawnImages, tokenizer: CLIPTokenizer, clip: CLIPModel
) -> CLIPSegForImageSegmentation:
    """Stage 2: a CLIPSeg decoder on this CLIP, which stays as it is, learns to answer words with regions."""
    torch.manual_seed(options.seed)
    model = CLIPSegForImageSegmentation(CLIPSegConfig(**clip_config(tokenizer), **DECODER, **FINE_TUNING))
    model.clip.load_state_dict(clip.state_dict())
    model.clip.requires_grad_(False)
    # transformers draws the new layers of the decoder with deviation 1, from which they do not learn.
    model.decoder.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    with torch.no_grad():
        prompts = clip.get_text_features(**tokenize(tokenizer, list(TOY_WORLD.prompts))).pooler_output
    features = dict(zip(TOY_WORLD.prompts, F.normalize(prompts, dim=-1)))
    # Only scenes of whole objects: the mask of a lone part would tell where a part is.
    whole = range(1, len(images.figures), 2)

    def losses(rng: random.Random) -> dict[str, torch.Tensor]:
        batch = rng.sample(whole, k=options.batch_size // 4)
        with torch.no_grad():
            vision = clip.vision_model(normalize(images.pixels[batch]), output_hidden_states=True)
            patches = F.normalize(patch_features(clip, vision.last_hidden_state), dim=-1)
            queries = []
            for patch, i in zip(patches, batch):
                queries += object_queries(images, i, rng) + region_queries(images, i, patch, features, rng)
            conditions = clip.get_text_features(**tokenize(tokenizer, [word for word, _ in queries])).pooler_output
        each = len(queries) // len(batch)
        activations = [vision.hidden_states[i + 1].repeat_interleave(each, dim=0) for i in model.extract_layers]
        logits = model.decoder(activations, conditions).logits
        masks = torch.stack([mask for _, mask in queries]).float()
        masks = F.interpolate(masks[:, None], logits.shape[-2:], mode="area")[:, 0]
        return {"bce": F.binary_cross_entropy_with_logits(logits, masks), "dice": dice_loss(logits, masks)}

    fit(list(model.decoder.parameters()), losses, options.object_steps, options.learning_rate, options.seed + 2)
    return model.eval()


Query = tuple[str, torch.Tensor]
"""Words, and where in an image they apply: bool (S, S)."""


def object_queries(images: DrawnImages, i: int, rng: random.Random) -> list[Query]:
    """An object to look for, with or without its colour, sometimes absent; its mask is given."""
    figure = rng.choice(images.figures[i])
    name = figure.name if rng.random() < 0.75 else rng.choice(TOY_WORLD.object_classes)
    coloured = figure.colour and name == figure.name and len(images.figures[i]) == 1 and rng.random() < 0.5
    mask = images.objects[i] == TOY_WORLD.object_classes.index(name)
    return [(f"{figure.colour} {name}" if coloured else name, mask)]


def region_queries(
    images: DrawnImages, i: int, patches: torch.Tensor, features: dict[str, torch.Tensor], rng: random.Random
) -> list[Query]:
    """Three words of an object's caption, each to be found where CLIP itself likes it best within the object.

    Args:
        images: All images.
        i: Number of this one.
        patches: (GRID * GRID, D) normalized patch features of this image.
        features: Normalized text feature of every prompt.
        rng: Chooses an object and its words.
    """
    figure = rng.choice([figure for figure in images.figures[i] if figure.parts] or images.figures[i])
    inside = images.objects[i] == TOY_WORLD.object_classes.index(figure.name)
    words = list(figure.parts)
    likes = patches @ torch.stack([features[f"{figure.name} {word}"] for word in words]).T
    likes = F.interpolate(likes.T.reshape(1, -1, GRID, GRID), inside.shape, mode="bilinear")[0].argmax(0)
    queries = []
    for word in rng.choices(words, k=3):
        mask = (likes == words.index(word)) & inside
        alone = len(images.figures[i]) == 1
        variants = [f"{figure.name} {word}", f"{figure.parts[word]} {word}", word]
        queries.append((rng.choice(variants) if alone else variants[0], mask))
    return queries


def dice_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice overlap, mean over maps."""
    scores, masks = logits.sigmoid().flatten(1), masks.flatten(1)
    return (1 - (2 * (scores * masks).sum(1) + 1) / (scores.sum(1) + masks.sum(1) + 1)).mean()


def save(model: nn.Module, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Writes weights in half precision (read back as float32), tokenizer and image processor."""
    shutil.rmtree(folder, ignore_errors=True)
    half = copy.deepcopy(model).half()
    half.save_pretrained(folder)
    config = type(model.config).from_pretrained(folder)
    config.dtype = "float32"
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    processor = ViTImageProcessorPil(size=size, resample=2, image_mean=[MEAN] * 3, image_std=[STD] * 3)
    processor.save_pretrained(folder)


def main() -> None:
    """Runs the stages; the second starts from what the first has saved."""
    logging.basicConfig(level=logging.INFO)
    options = arguments()
    torch.set_num_threads(options.threads)
    clip = options.output_dir / "clip"
    scenes = draw_images(options.images, IMAGE_SIZE, close_up=False)
    torch.manual_seed(options.seed)
    if not options.keep_clip:
        rng = random.Random(options.seed)
        tokenizer = train_tokenizer([caption(f, rng) for f in scenes.figures])
        close_ups = draw_images(options.images, IMAGE_SIZE // 2, close_up=True)
        save(learn_words(options, close_ups, tokenizer), tokenizer, clip)
    tokenizer = CLIPTokenizer.from_pretrained(clip)
    clipseg = learn_regions(options, scenes, tokenizer, CLIPModel.from_pretrained(clip))
    save(clipseg, tokenizer, options.output_dir / "clipseg")


if __name__ == "__main__":
    main()
