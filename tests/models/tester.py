"""What every part segmentation model must do; a model's test class sets `make_config` and inherits the tests."""

import copy
import warnings
from contextlib import nullcontext
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModel, AutoModelForSemanticSegmentation

import ovparts_hf  # noqa: F401  registers the Auto classes
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.class_chunks import ClassChunks
from ovparts_hf.training.measure import peak_bytes

needs_compiler = pytest.mark.skipif(
    torch.__version__ < "2.7", reason="PyTorch 2.6 makes no graph of what transformers wraps `forward` in"
)
TWO_STAGES = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1]}
"""A ResNet with which a pixel decoder has one layer of each kind."""
NAMES = ["dog's ear", "dog's leg", "bus's wheel", "cat's tail"]


def each_layer_once(config):
    """A configuration of which layers and a ResNet's blocks are not repeated: tracing a graph takes seconds, and the
    same layer again is traced alike. CLIP sees images through a last layer that differs from the others.
    """
    backbone, text = (getattr(config, name, None) for name in ("backbone_config", "text_config"))
    for each in (config, backbone, text):
        for name in ("num_hidden_layers", "decoder_layers"):
            if hasattr(each, name):
                setattr(each, name, 1)
    if hasattr(backbone, "depths"):
        backbone.depths = [1] * len(backbone.depths)
    return config


def check_mask_loss_stride(model, inputs, labels):
    """With a stride, labels of the pixels in between do not matter to the loss; without one they do."""
    labels = F.interpolate(labels[:, None].float(), size=inputs["pixel_values"].shape[-2:])[:, 0].long()
    labels[:, 2::4, 2::4] = torch.arange(labels[:, 2::4, 2::4].numel()).view_as(labels[:, 2::4, 2::4]) % 4
    others = labels.clone()
    others[:, ::4] = 3
    every = [model(**inputs, labels=each).loss for each in (labels, others)]
    model.config.mask_loss_stride = 4
    some = [model(**inputs, labels=each).loss for each in (labels, others)]
    assert every[0] != every[1] and some[0] == some[1]


@cache
def made_once(tester):
    """The model of a class of tests, not to be changed."""
    return tester().make_model()


class PartModelTester:
    model_class: type
    image_size = 64
    num_classes = 4
    output_stride = 1
    traced_images = 2  # one where images go one by one, and a second would be traced alike
    int8_similarity = 0.98  # of scores of random weights

    def make_config(self):
        raise NotImplementedError

    def make_small_config(self):
        """For models that are traced."""
        return each_layer_once(self.make_config())

    def make_model(self):
        torch.manual_seed(0)
        return self.model_class(self.make_config()).eval()

    @pytest.fixture
    def model(self):
        torch.manual_seed(0)
        return copy.deepcopy(made_once(type(self)))

    @pytest.fixture
    def small_model(self):
        torch.manual_seed(0)
        return self.model_class(self.make_small_config()).eval()

    def make_tokens(self, generator):
        """Random words for each class."""
        text = self.make_config().text_config
        start, end = text.bos_token_id, text.eos_token_id
        ids = torch.randint(2, min(start, end), (self.num_classes, 5), generator=generator)
        ids[:, 0], ids[:, -1] = start, end
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    @pytest.fixture
    def inputs(self):
        generator = torch.Generator().manual_seed(1)
        tokens = self.make_tokens(generator)
        pixels = torch.randn(2, 3, self.image_size, self.image_size, generator=generator)
        return {"pixel_values": pixels, **tokens}

    @pytest.fixture
    def labels(self):
        labels = torch.randint(0, self.num_classes, (2, 40, 50), generator=torch.Generator().manual_seed(2))
        labels[:, :10] = 255
        return labels

    @torch.no_grad()
    def test_logits_cover_every_class_at_the_input_size(self, model, inputs):
        outputs = model(**inputs)
        side = self.image_size // self.output_stride
        assert outputs.logits.shape == (2, self.num_classes, side, side)
        assert outputs.none_logits.shape == (2, 1, side, side)
        assert outputs.loss is None

    @torch.no_grad()
    def test_class_features_replace_tokens(self, model, inputs):
        features = model.encode_classes(inputs["input_ids"], inputs["attention_mask"])
        expected = model(**inputs)
        outputs = model(inputs["pixel_values"], class_features=features)
        torch.testing.assert_close(outputs.logits, expected.logits, atol=0, rtol=0)

    @torch.no_grad()
    def test_images_do_not_influence_each_other(self, model, inputs):
        together = model(**inputs).logits
        alone = model(**{**inputs, "pixel_values": inputs["pixel_values"][1:]}).logits
        torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_masked_classes_score_minus_infinity_and_the_others_the_same(self, model, inputs):
        mask = torch.tensor([[True, False, True, False], [False, False, False, True]])
        logits, full = model(**inputs, class_mask=mask).logits, model(**inputs).logits
        assert torch.isneginf(logits[~mask]).all()
        torch.testing.assert_close(logits[mask], full[mask], atol=1e-5, rtol=0)

    def test_classes_left_out_do_not_weigh_in_the_loss(self, model, inputs, labels):
        """With class 3 left out everywhere, its words do not matter and the loss stays a number."""
        labels[labels == 3] = 255
        mask = torch.tensor([[True, True, True, False]] * 2)
        loss = model(**inputs, labels=labels, class_mask=mask).loss
        inputs["input_ids"][3, ..., 1:-1] = 5
        assert torch.isfinite(loss)
        torch.testing.assert_close(model(**inputs, labels=labels, class_mask=mask).loss, loss)

    def test_needs_words(self, model, inputs):
        with pytest.raises(ConfigurationError, match="class_features"):
            model(inputs["pixel_values"])

    @torch.no_grad()
    def test_own_vocabulary_is_saved_and_scored_without_words(self, model, inputs, tmp_path):
        """What is given with the images, such as object masks, is given as before."""
        words = {name: inputs.pop(name) for name in ("input_ids", "attention_mask")}
        expected = model(**inputs, **words)
        assert model.class_features is None and expected.class_features is not None
        model.store_class_features(NAMES, model.encode_classes(**words))
        model.save_pretrained(tmp_path)
        loaded = self.model_class.from_pretrained(tmp_path)
        assert loaded.config.class_names == NAMES
        labels = [*NAMES, "none"] if model.scores_none else NAMES
        assert list(loaded.config.id2label.values()) == labels
        assert loaded.config.label2id[NAMES[2]] == 2
        outputs = loaded(**inputs)
        assert torch.equal(outputs.logits, expected.logits)
        assert outputs.class_features is None
        loaded.forget_vocabulary()
        loaded.save_pretrained(tmp_path)
        assert self.model_class.from_pretrained(tmp_path).class_features is None
        with pytest.raises(ConfigurationError, match="no vocabulary of its own"):
            loaded(**inputs)

    def test_refuses_names_that_do_not_fit_their_features(self, model, inputs):
        features = model.encode_classes(inputs["input_ids"], inputs["attention_mask"])
        for names in (["a", "b", "c"], ["a", "b", "c", "a"]):
            with pytest.raises(ConfigurationError, match="4 rows of features"):
                model.store_class_features(names, features)

    def test_loss_falls_when_trained(self, model, inputs, labels):
        model.train()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
        losses = []
        for _ in range(10):
            loss = model(**inputs, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.95 * losses[0]

    def test_gradient_checkpointing_changes_nothing(self, model, inputs, labels):
        model.train()
        losses, gradients = [], []
        for checkpointing in (False, True):
            if checkpointing:
                model.activation_checkpointing_enable()
            model.zero_grad()
            torch.manual_seed(0)
            loss = model(**inputs, labels=labels).loss
            loss.backward()
            losses.append(loss.detach())
            gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        torch.testing.assert_close(losses[1], losses[0])
        assert gradients[0]
        torch.testing.assert_close(gradients[1], gradients[0])

    @pytest.mark.parametrize("masked", [False, True])
    @pytest.mark.parametrize("checkpointing", [False, True])
    def test_chunks_of_classes_have_the_same_gradients(self, small_model, inputs, labels, masked, checkpointing):
        chunked = [module for module in small_model.modules() if isinstance(module, ClassChunks)]
        if not chunked:
            with pytest.raises(ConfigurationError, match="class_chunk is 3, but a .* does not decode class by class"):
                small_model.decode_in_chunks(3)
            return
        mask = torch.tensor([[True, False, True, True], [True, True, True, False]]) if masked else None
        small_model.train()
        if checkpointing:
            small_model.activation_checkpointing_enable()
        losses, gradients = [], []
        for chunk in (None, 3, 1):
            if chunk is not None:
                small_model.decode_in_chunks(chunk)
            assert all(module.class_chunk == chunk for module in chunked)
            small_model.zero_grad()
            loss = small_model(**inputs, labels=labels, class_mask=mask).loss
            loss.backward()
            losses.append(loss.detach())
            gradients.append({name: p.grad for name, p in small_model.named_parameters() if p.grad is not None})
        assert gradients[0]
        for loss, found in zip(losses[1:], gradients[1:], strict=True):
            torch.testing.assert_close(loss, losses[0])
            torch.testing.assert_close(found, gradients[0], atol=1e-6, rtol=1e-4)

    def test_chunks_of_classes_take_less_memory(self, small_model, inputs, labels):
        if not any(isinstance(module, ClassChunks) for module in small_model.modules()):
            return
        peaks = []
        for chunk in (None, 1):
            if chunk is not None:
                small_model.decode_in_chunks(chunk)
            peaks.append(peak_bytes(small_model.train(), {**inputs, "labels": labels}, nullcontext))
        assert peaks[1] < 0.8 * peaks[0]

    @needs_compiler
    @torch.no_grad()
    def test_compiles_to_one_graph(self, small_model, inputs):
        """Which scores the same, though it decodes what the eager model leaves out."""
        inputs["pixel_values"] = inputs["pixel_values"][: self.traced_images]
        mask = torch.tensor([[True, False, True, True], [True, True, True, False]])[: self.traced_images]
        expected = small_model(**inputs, class_mask=mask).logits
        torch.compiler.reset()
        logits = torch.compile(small_model, fullgraph=True, backend="eager")(**inputs, class_mask=mask).logits
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_an_accelerator_need_not_wait(self, model, inputs):
        """Whatever depends on a value fails on the meta device, where it would make a GPU wait."""
        if "input_ids" in inputs:
            inputs["class_features"] = model.encode_classes(inputs.pop("input_ids"), inputs.pop("attention_mask"))
        inputs = {name: tensor.to("meta") for name, tensor in inputs.items()}
        mask = torch.tensor([[True, False, True, False], [False, False, False, True]])
        logits = model.to("meta")(**inputs, class_mask=mask).logits
        side = self.image_size // self.output_stride
        assert logits.is_meta and logits.shape == (2, self.num_classes, side, side)

    @torch.no_grad()
    def test_hidden_states_and_attentions_on_request(self, model, inputs):
        model.set_attn_implementation("eager")
        plain = model(**inputs)
        assert plain.hidden_states is None and plain.attentions is None
        full = model(**inputs, output_hidden_states=True, output_attentions=True)
        assert full.hidden_states and full.attentions
        assert all(torch.isfinite(states).all() for states in full.hidden_states)
        assert torch.equal(full.logits, plain.logits)
        assert torch.equal(model(**inputs, return_dict=False)[0], plain.logits)

    def test_every_attention_can_be_exchanged(self, model):
        model.set_attn_implementation("eager")
        attentions = [each for each in model.modules() if type(each).__name__.endswith("Attention")]
        names = [each.config._attn_implementation for each in attentions if hasattr(each, "config")]
        assert names and set(names) == {"eager"}

    def test_refuses_arguments_that_there_are_not(self, model, inputs):
        with pytest.raises(TypeError, match="clas_mask"):
            model(**inputs, clas_mask=None)

    @torch.no_grad()
    def test_int8_weights_score_alike(self, model, inputs):
        """Linear layers as PyTorch's dynamic quantization replaces them."""
        expected = model(**inputs).logits
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which tools will replace this one
            quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
        assert any(isinstance(each, torch.ao.nn.quantized.dynamic.Linear) for each in quantized.modules())
        logits = quantized(**inputs).logits
        similarity = F.cosine_similarity(logits.flatten(), expected.flatten(), dim=0)
        assert similarity > self.int8_similarity

    @torch.no_grad()
    def test_save_and_load_keep_every_bit(self, model, inputs, tmp_path):
        model.save_pretrained(tmp_path)
        expected = model(**inputs)
        for auto_class in (self.model_class, AutoModel, AutoModelForSemanticSegmentation):
            loaded = auto_class.from_pretrained(tmp_path)
            assert type(loaded) is self.model_class
            outputs = loaded(**inputs)
            assert torch.equal(outputs.logits, expected.logits)
            assert torch.equal(outputs.none_logits, expected.none_logits)
        assert type(AutoConfig.from_pretrained(tmp_path)) is type(model.config)

    def test_every_parameter_takes_part(self, model, inputs, labels):
        """A parameter whose change cannot move the output should not exist, unless the model says why."""
        model.train()
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        model(**inputs, labels=labels).loss.backward()
        silent = {name for name, p in model.named_parameters() if p.grad is None}
        assert {name for name in silent if not name.startswith(self.silent_prefixes)} == set()

    silent_prefixes: tuple[str, ...] = ()
