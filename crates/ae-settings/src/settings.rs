//! All that decides a picture.

use crate::option::options;
use crate::{
    AttendAndExcite, AttendAndExciteOverrides, EmbeddingRef, FileRef, FloatType, Group, InitialNoise, LongPrompts,
    LoraRef, Method, NoiseKind, PairDistance, PairNegatives, PredictionType, Preset, PromptSyntax, SchedulerKind,
    SigmaSpacing, SubjectBox, TimestepSpacing, WordGroup, WordPair,
};

/// The format of the settings that this version writes.
///
/// Format 1 had no number, and no record of the files that were loaded.
pub const FORMAT: u32 = 2;

/// Longest side of a picture in pixels: beyond it the latents alone exhaust the memory of any machine.
const LARGEST_SIDE: f64 = 8192.0;

fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

crate::value::option_value!(u32, crate::Kind::Whole, |text: &str| text
    .parse()
    .map_err(|_| "expected a whole number".to_owned()));

options! {
    /// All that decides a picture: the wire format of PNG chunks, traces, REST and evaluations.
    ///
    /// The default has the paper's values and no prompt. In the settings of a picture that was drawn everything is resolved:
    /// size, sampler, subjects, and every file with its hash.
    struct Settings, Overrides {
        /// The format of these settings; see [`FORMAT`].
        [label: "Format"]
        format: u32 = FORMAT;

        /// The version of the program that drew the picture.
        [label: "Version"]
        version: String = env!("CARGO_PKG_VERSION").to_owned();

        /// The kind of device that drew the picture: the same settings give the same pixels on the same kind.
        [label: "Device"]
        device: Option<String> = None;

        /// What to draw.
        [label: "Prompt", group: Group::Prompt]
        prompt: String = String::new();

        /// What to keep out of the picture.
        [label: "Negative prompt", group: Group::Sampling, heading: Some("Prompt"), common: true]
        negative_prompt: String = String::new();

        /// Words or phrases of the prompt that must appear, e.g. "cat,dog"; `cat#2` is the second cat.
        [label: "Subjects", group: Group::Prompt, value_name: "WORDS", default_text: Some("the nouns of the prompt"), common: true]
        subjects: Option<Vec<String>> = None;

        /// Token positions that must appear, e.g. "2,5" (see `ae tokens`), instead of subjects.
        [label: "Token indices", group: Group::Prompt, value_name: "INDICES"]
        token_indices: Option<Vec<usize>> = None;

        /// Noun phrases that structure-diffusion encodes by themselves, "a red car,a white bench".
        [label: "Phrases", group: Group::Prompt, value_name: "PHRASES", default_text: Some("those of the prompt")]
        phrases: Option<Vec<String>> = None;

        /// Modifiers, each with the noun that it belongs to, "red:car,blue:clock"; or "none".
        [label: "Pairs", group: Group::Prompt, value_name: "WORD:NOUN,..", default_text: Some("those of the prompt")]
        pairs: Option<Vec<WordPair>> = None;

        /// Subjects, each with its modifiers before it, "red car; blue clock", instead of subjects and pairs; or "none".
        [label: "Groups", group: Group::Prompt, value_name: "WORDS;..", default_text: Some("those of the prompt")]
        groups: Option<Vec<WordGroup>> = None;

        /// Subjects, each with a box in shares of the width and the height: left, top, right, bottom; auto puts them side by side.
        [label: "Boxes", group: Group::Prompt, value_name: "WORD:L,T,R,B;..", default_text: Some("auto")]
        boxes: Vec<SubjectBox> = Vec::new();

        /// The seed of the random numbers.
        [label: "Seed", group: Group::Prompt, value_name: "N"]
        seed: u64 = 42;

        /// Method.
        [label: "Method", group: Group::Method, value_name: "METHOD", common: true]
        method: Method = Method::AttendAndExcite;

        /// How far the maps of two words are apart: kl, cosine or total-variation.
        [label: "Distance", group: Group::Objective, value_name: "NAME", default_text: Some("the method's")]
        distance: Option<PairDistance> = None;

        /// Whose distance to the other words counts: that of the noun, or of noun and modifier (both).
        [label: "Negatives", group: Group::Objective, value_name: "NAME", default_text: Some("the method's")]
        negatives: Option<PairNegatives> = None;

        /// Keep nouns without a modifier apart from the other words too.
        [label: "Bare nouns", group: Group::Objective, flag: Some("no-bare-nouns")]
        bare_nouns: bool = true;

        /// Weight of the attention that every noun must have somewhere.
        [label: "Intensity", group: Group::Objective, value_name: "X", range: Some([0.0, 1e6]), default_text: Some("the method's")]
        intensity: Option<f64> = None;

        /// Temperature of CONFORM's contrast.
        [label: "Temperature", group: Group::Objective, value_name: "X", range: Some([0.0, 1e6]), above: true]
        temperature: f64 = 0.5;

        /// Number of patches whose mean attention Self-Cross reads.
        [label: "Top patches", group: Group::Objective, value_name: "N", range: Some([1.0, 1e6])]
        top_k: usize = 16;

        /// Self-Cross counts the overlap where the loss of the most neglected subject is no larger.
        [label: "Overlap gate", group: Group::Objective, value_name: "X", range: Some([0.0, 1e6])]
        overlap_gate: f64 = 0.5;

        /// A refinement of Self-Cross goes on while the overlap is larger.
        [label: "Overlap target", group: Group::Objective, value_name: "X", range: Some([0.0, 1e6])]
        overlap_target: f64 = 0.3;

        /// Share of the patches in and outside a box whose mean BoxDiff reads.
        [label: "Box share", group: Group::Objective, value_name: "X", range: Some([0.0, 1.0]), above: true]
        box_share: f64 = 0.2;

        /// Patches at each side of a box's edge that BoxDiff compares.
        [label: "Box reach", group: Group::Objective, value_name: "N", range: Some([0.0, 1000.0])]
        box_reach: usize = 1;

        /// Weight of what must not be together in Predicated Diffusion.
        [label: "Exclusion", group: Group::Objective, value_name: "X", range: Some([0.0, 1e6])]
        exclusion: f64 = 0.3;

        /// Compute what the published code does where it is not what the paper says.
        [label: "As published", group: Group::Objective]
        as_published: bool = false;

        /// Settings for a model or LoRA of few steps, under all that is given: turbo, lcm, lightning-2, -4 or -8, hyper-1, -2, -4 or -8,
        /// or none.
        [label: "Preset", group: Group::Sampling, value_name: "NAME", default_text: Some("as the model is known to need")]
        preset: Option<Preset> = None;

        /// Whose noise a seed stands for: PyTorch's on the CPU (torch-cpu) or on CUDA (torch-cuda).
        [label: "Noise source", group: Group::Sampling, value_name: "GENERATOR"]
        rng: NoiseKind = NoiseKind::TorchCpu;

        /// Noise that a run starts from: that of the seed (seed), that noise and others optimised so that every subject is attended to
        /// (initno), or the best of several (best:8).
        [label: "Initial noise", group: Group::Sampling, value_name: "seed|initno|best:N", default_text: Some("the method's, or seed")]
        initial_noise: InitialNoise = InitialNoise::Seed;

        /// Most passes of the U-Net that optimise the noise of a picture.
        [label: "Noise passes", group: Group::Sampling, value_name: "N", range: Some([1.0, 100_000.0])]
        noise_passes: usize = 100;

        /// Number of denoising steps.
        [label: "Steps", group: Group::Sampling, value_name: "N", range: Some([1.0, 1e6]),
            default_text: Some("the model's, or 50"), common: true]
        steps: usize = 50;

        /// Scale of classifier-free guidance; up to 1 there is none.
        [label: "Guidance scale", group: Group::Sampling, value_name: "X", range: Some([f64::MIN, f64::MAX]),
            default_text: Some("the model's, or 7.5"), common: true]
        guidance_scale: f64 = 7.5;

        /// How far the contrast that classifier-free guidance adds is taken back (Lin et al. 2023, section 3.4).
        [label: "Guidance rescale", group: Group::Sampling, value_name: "X", range: Some([0.0, 1.0])]
        guidance_rescale: f64 = 0.0;

        /// Height in pixels.
        [label: "Height", group: Group::Sampling, value_name: "PIXELS", range: Some([1.0, LARGEST_SIDE]),
            default_text: Some("the model's, or the initial image's"), heading: Some("Picture"), common: true]
        height: Option<usize> = None;

        /// Width in pixels.
        [label: "Width", group: Group::Sampling, value_name: "PIXELS", range: Some([1.0, LARGEST_SIDE]),
            default_text: Some("the model's, or the initial image's"), heading: Some("Picture"), common: true]
        width: Option<usize> = None;

        /// Sampler: pndm, ddim, ddpm, euler, euler-a, heun, lms, dpm2, dpm2-a, dpmpp-2m, dpmpp-2m-sde, unipc, lcm or tcd, or what
        /// AUTOMATIC1111's program, ComfyUI or diffusers calls it.
        [label: "Sampler", group: Group::Sampling, value_name: "NAME", default_text: Some("the model's"), common: true]
        scheduler: Option<SchedulerKind> = None;

        /// How the timesteps are spread: leading, trailing (Turbo, Lightning) or linspace.
        [label: "Timestep spacing", group: Group::Sampling, value_name: "NAME", default_text: Some("the model's")]
        timestep_spacing: Option<TimestepSpacing> = None;

        /// How the noise levels are spread, for samplers that have them: karras, exponential, beta or normal.
        [label: "Sigmas", group: Group::Sampling, value_name: "NAME", default_text: Some("the model's")]
        sigmas: Option<SigmaSpacing> = None;

        /// How much of the noise ddim and tcd draw afresh in every step.
        [label: "Eta", group: Group::Sampling, value_name: "X", range: Some([0.0, 1.0])]
        eta: f64 = 0.0;

        /// Let unipc correct the steps that guidance altered too, as diffusers does; that undoes the most of what guidance did.
        [label: "Correct altered steps", group: Group::Sampling]
        correct_altered_steps: bool = false;

        /// Decode large images in overlapping tiles: less memory, slightly different images.
        [label: "VAE tiling", group: Group::Sampling, heading: Some("Picture")]
        vae_tiling: bool = false;

        /// Layers left out at the end of the text encoder: 0 is none, 1 is the "clip skip 2" of other programs.
        [label: "CLIP skip", group: Group::Sampling, value_name: "N", range: Some([0.0, 100.0])]
        clip_skip: usize = 0;

        /// How prompts are read: plain, or a1111 for weights as in `(word:1.3)`, `<lora:NAME:STRENGTH>`, AND, BREAK, `[from:to:when]` and
        /// `[a|b]`.
        [label: "Prompt syntax", group: Group::Sampling, value_name: "NAME", heading: Some("Prompt")]
        prompt_syntax: PromptSyntax = PromptSyntax::Plain;

        /// What becomes of prompts beyond 75 tokens: chunks, padded (chunks, as many for the negative prompt) or cut.
        [label: "Long prompts", group: Group::Sampling, value_name: "NAME",
            default_text: Some("chunks with the syntax a1111, otherwise cut"), heading: Some("Prompt")]
        long_prompts: Option<LongPrompts> = None;

        /// Image to start from (PNG, JPEG or WebP).
        [label: "Initial image", group: Group::InitImage, value_name: "FILE", common: true]
        init_image: Option<FileRef> = None;

        /// How much of the initial image is drawn anew.
        [label: "Strength", group: Group::InitImage, value_name: "X", range: Some([0.0, 1.0]), above: true,
            default_text: Some("0.8, with a mask 1"), common: true]
        strength: Option<f64> = None;

        /// Image of the initial image's size that is white where that is drawn anew and black where it stays (inpainting).
        [label: "Mask", group: Group::InitImage, value_name: "FILE", common: true]
        mask: Option<FileRef> = None;

        /// Standard deviation in pixels by which the edge of the mask is softened.
        [label: "Mask blur", group: Group::InitImage, value_name: "PIXELS", range: Some([0.0, 64.0])]
        mask_blur: f64 = 0.0;

        /// Draw the part around the mask alone, with so many pixels at each side, at the full size, and paste it into the picture.
        [label: "Mask padding", group: Group::InitImage, value_name: "PIXELS", range: Some([0.0, LARGEST_SIDE]),
            default_text: Some("the whole picture is drawn")]
        mask_padding: Option<usize> = None;

        /// Draw anew where the mask is black.
        [label: "Invert the mask", group: Group::InitImage]
        mask_invert: bool = false;

        /// Keep the initial image's own pixels outside the mask, as diffusers does with a padding alone.
        [label: "Keep what is outside", group: Group::InitImage, flag: Some("no-mask-overlay")]
        mask_overlay: bool = true;

        /// A folder in diffusers' layout, a single file (.safetensors, .ckpt), or a name: sd14, sd15, sd15-inpainting, sd21-base,
        /// sd21, sd-turbo, lcm-dreamshaper, bk-sdm-small or `ORG/NAME` of the Hugging Face hub, `ORG/NAME:FOLDER`, `ORG/NAME/FILE.safetensors`, each
        /// with `@REVISION` if wanted (see `ae models`).
        [label: "Model", group: Group::Loaded, value_name: "PATH|NAME", default_text: Some("the embedded model"), common: true]
        model: Option<String> = None;

        /// The files of the model with weights.
        [label: "Model files"]
        model_files: Vec<FileRef> = Vec::new();

        /// The revision of a model of the hub.
        [label: "Revision"]
        revision: Option<String> = None;

        /// Type of weights and activations: f32, f16, bf16 or, on the CPU alone, q8; the CPU keeps weights in it and computes in f32.
        [label: "Float type", group: Group::Loaded, value_name: "TYPE"]
        dtype: FloatType = FloatType::F32;

        /// The weights of a folder or a hub's model that carry this name before their ending, such as fp16 or non_ema.
        [label: "Variant", group: Group::Loaded, value_name: "NAME", default_text: Some("those of the float type")]
        variant: Option<String> = None;

        /// LoRA and its strength [default: 1], with another for the U-Net if wanted. May be given several times.
        [label: "LoRAs", group: Group::Loaded, flag: Some("lora"), value_name: "FILE[:STRENGTH[:UNET]]", common: true]
        loras: Vec<LoraRef> = Vec::new();

        /// Textual inversion; its token, the file's own or TOKEN, can be used in prompts and as a subject. May be given several
        /// times.
        [label: "Embeddings", group: Group::Loaded, flag: Some("embedding"), value_name: "FILE[:TOKEN]"]
        embeddings: Vec<EmbeddingRef> = Vec::new();

        /// Another autoencoder: a file, or a folder in diffusers' layout.
        [label: "VAE", group: Group::Loaded, value_name: "PATH"]
        vae: Option<FileRef> = None;

        /// What the U-Net predicts: epsilon, v_prediction or sample.
        [label: "Prediction type", group: Group::Loaded, value_name: "NAME", default_text: Some("as the model says")]
        prediction_type: Option<PredictionType> = None;

        groups {
            /// The parameters of Attend-and-Excite.
            attend_and_excite: AttendAndExcite, AttendAndExciteOverrides;
        }
    }
}

impl Settings {
    /// What becomes of long prompts: as it is said, or as the syntax of the prompts has it.
    pub fn way_with_long_prompts(&self) -> LongPrompts {
        self.long_prompts.unwrap_or(match self.prompt_syntax {
            PromptSyntax::Plain => LongPrompts::Cut,
            PromptSyntax::A1111 => LongPrompts::Chunks,
        })
    }
}
