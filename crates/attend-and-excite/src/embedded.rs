use ae_pipeline::EmbeddedModel;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../assets/sprites/", $path)))),*]
    };
}

/// The model of `assets/sprites`: 12 animals and 12 objects in 11 colours, 128x128 pixels.
pub static SPRITES: EmbeddedModel = EmbeddedModel {
    name: "sprites (embedded)",
    files: files![
        "attend_and_excite.json",
        "vocabulary.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ],
};

/// The detector of that model's subjects, `assets/detector`: its description and its weights.
pub static DETECTOR: (&str, &[u8]) = (
    include_str!("../../../assets/detector/detector.json"),
    include_bytes!("../../../assets/detector/detector.safetensors"),
);

/// The licence notices of what the model was trained on.
pub static NOTICES: &str = include_str!("../../../assets/sprites/NOTICE");
