"""Checks that diffusers reads what `ae convert` writes as the model that was converted.

    cargo build --release -p ae-cli
    python tests/reference/check_converted.py target/release/ae

Small models of both generations with random weights, with and without a LoRA, as folders and as single files, in every type: their
weights must be those of the original model, bit by bit where nothing was merged, and so must a prediction of noise and a picture be,
up to the order of sums.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TOKENIZER = Path(__file__).parents[2] / "assets" / "sprites" / "tokenizer"


def make(generation: int) -> StableDiffusionPipeline:
    torch.manual_seed(generation)
    channels = (32, 64) if generation == 1 else (64, 128)
    unet = UNet2DConditionModel(
        sample_size=64 if generation == 1 else 96,
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=2,
        cross_attention_dim=64,
        attention_head_dim=8 if generation == 1 else [width // 64 for width in channels],
        use_linear_projection=generation == 2,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=660,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=1,
            hidden_act="quick_gelu" if generation == 1 else "gelu",
            bos_token_id=658,
            eos_token_id=659,
        )
    )
    schedule = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    scheduler = (
        PNDMScheduler(skip_prk_steps=True, **schedule)
        if generation == 1
        else DDIMScheduler(clip_sample=False, prediction_type="v_prediction", set_alpha_to_one=False, **schedule)
    )
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=CLIPTokenizer.from_pretrained(TOKENIZER),
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def make_lora(pipeline: StableDiffusionPipeline, path: Path) -> None:
    """A LoRA in diffusers' names; the pipeline stays as it is."""
    unet = UNet2DConditionModel.from_config(pipeline.unet.config)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    torch.manual_seed(7)
    state = get_peft_model_state_dict(unet)
    save_file({f"unet.{key}": torch.randn_like(value) * 0.1 for key, value in state.items()}, path)


@torch.no_grad()
def predict(pipeline: StableDiffusionPipeline) -> torch.Tensor:
    torch.manual_seed(3)
    latents = torch.randn(1, 4, 16, 16)
    ids = torch.arange(77)[None] % 660
    states = pipeline.text_encoder(ids)[0]
    return pipeline.unet(latents, 501, encoder_hidden_states=states).sample


@torch.no_grad()
def decode(pipeline: StableDiffusionPipeline) -> torch.Tensor:
    torch.manual_seed(4)
    return pipeline.vae.decode(torch.randn(1, 4, 8, 8)).sample


def weights(pipeline: StableDiffusionPipeline) -> dict[str, torch.Tensor]:
    parts = {"unet": pipeline.unet, "vae": pipeline.vae, "text_encoder": pipeline.text_encoder}
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}


def is_norm(key: str) -> bool:
    return "norm" in key


def cast(pipeline: StableDiffusionPipeline, dtype: torch.dtype) -> None:
    """The values that the type has; those of normalisations stay."""
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        for key, value in part.state_dict().items():
            if value.is_floating_point() and not is_norm(key):
                value.copy_(value.to(dtype).float())


def compare(name: str, expected: StableDiffusionPipeline, found: StableDiffusionPipeline, bound: float) -> None:
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys(), (name, ours.keys() ^ theirs.keys())
    worst = max((ours[key].float() - theirs[key].float()).abs().max().item() for key in theirs)
    noise = (predict(found) - predict(expected)).abs().max().item()
    image = (decode(found) - decode(expected)).abs().max().item()
    print(f"{name:<40} weights {worst:.1e}  noise prediction {noise:.1e}  picture {image:.1e}")
    # Equal weights in other places of memory are summed in another order.
    assert worst <= bound and max(noise, image) <= max(bound, 1e-5), name


def main(ae: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)

        def convert(*arguments: object) -> None:
            subprocess.run([ae, "convert", *map(str, arguments), "--force"], check=True, stderr=subprocess.DEVNULL)

        for generation in (1, 2):
            original = folder / f"original-{generation}"
            make(generation).save_pretrained(original)
            read = lambda path: StableDiffusionPipeline.from_pretrained(path, safety_checker=None, torch_dtype=torch.float32)
            read_single = lambda path: StableDiffusionPipeline.from_single_file(
                path, config=str(original), safety_checker=None, torch_dtype=torch.float32, local_files_only=True
            )
            for dtype in ("f32", "f16", "bf16"):
                expected = read(original)
                cast(expected, {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[dtype])
                name = f"generation {generation}, {dtype}"
                out, single = folder / "converted", folder / "converted.safetensors"
                convert(original, out, "--dtype", dtype)
                found = read(out)
                compare(f"{name}, folder", expected, found, 0.0)
                assert type(found.scheduler) is type(expected.scheduler)
                assert found.scheduler.config.prediction_type == expected.scheduler.config.prediction_type
                ids = [p.tokenizer("a lion and a red car", padding="max_length").input_ids for p in (found, expected)]
                assert ids[0] == ids[1]
                convert(original, single, "--dtype", dtype)
                compare(f"{name}, single file", expected, read_single(single), 0.0)

                # A single file has no tokenizer: the folder that is made of it has CLIP's.
                convert(single, out, "--dtype", dtype, "--prediction-type", expected.scheduler.config.prediction_type)
                found = read(out)
                compare(f"{name}, single file, folder", expected, found, 0.0)
                assert found.tokenizer("a cat").input_ids[:4] == [49406, 320, 2368, 49407]
                assert found.tokenizer.pad_token == ("<|endoftext|>" if generation == 1 else "!")

            lora = folder / "lora.safetensors"
            make_lora(read(original), lora)
            expected = read(original)
            expected.load_lora_weights(str(lora))
            expected.fuse_lora()
            expected.unload_lora_weights()
            convert(original, out, "--lora", lora)
            compare(f"generation {generation}, LoRA, folder", expected, read(out), 2e-5)
            convert(original, single, "--lora", lora)
            compare(f"generation {generation}, LoRA, single file", expected, read_single(single), 2e-5)
    print("all equal")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
