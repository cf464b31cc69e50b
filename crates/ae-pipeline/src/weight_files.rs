//! Which file of a diffusers folder holds the weights of a network.

use std::path::{Path, PathBuf};

/// A network of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelPart {
    /// CLIP's text model.
    TextEncoder,
    /// The noise predictor.
    UNet,
    /// The autoencoder.
    Vae,
}

impl ModelPart {
    /// Its folder.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::TextEncoder => "text_encoder",
            Self::UNet => "unet",
            Self::Vae => "vae",
        }
    }

    /// Its config, relative to the model's folder.
    pub(crate) fn config(self) -> String {
        format!("{}/config.json", self.folder())
    }

    /// The name of its weights without the ending: as safetensors, and as a PyTorch file.
    fn stems(self) -> (&'static str, &'static str) {
        match self {
            Self::TextEncoder => ("model", "pytorch_model"),
            Self::UNet | Self::Vae => ("diffusion_pytorch_model", "diffusion_pytorch_model"),
        }
    }

    /// The file that a model with nothing but float32 safetensors has.
    pub(crate) fn usual_file(self) -> String {
        format!("{}.safetensors", self.stems().0)
    }

    /// The files that may hold the weights, the best first: safetensors before PyTorch files, and the
    /// half-precision variant first or last.
    fn candidates(self, prefer_half: bool) -> Vec<String> {
        let (safetensors, pytorch) = self.stems();
        let full = [
            format!("{safetensors}.safetensors"),
            format!("{safetensors}.safetensors.index.json"),
            format!("{pytorch}.bin"),
            format!("{pytorch}.bin.index.json"),
        ];
        // The place of the variant in the name of an index has changed over the versions of diffusers.
        let half = [
            format!("{safetensors}.fp16.safetensors"),
            format!("{safetensors}.safetensors.index.fp16.json"),
            format!("{safetensors}.fp16.safetensors.index.json"),
            format!("{safetensors}.safetensors.fp16.index.json"),
            format!("{pytorch}.fp16.bin"),
            format!("{pytorch}.bin.index.fp16.json"),
            format!("{pytorch}.fp16.bin.index.json"),
            format!("{pytorch}.bin.fp16.index.json"),
        ];
        if prefer_half { half.into_iter().chain(full).collect() } else { full.into_iter().chain(half).collect() }
    }

    /// The best file there is in the network's own folder.
    pub(crate) fn find(self, folder: &Path, prefer_half: bool) -> Option<PathBuf> {
        self.candidates(prefer_half).into_iter().map(|name| folder.join(name)).find(|path| path.exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], prefer_half: bool) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let path = ModelPart::TextEncoder.find(folder.path(), prefer_half)?;
        Some(path.file_name().unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn the_variant_is_taken_where_it_is_preferred_or_alone() {
        let both = ["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"];
        assert_eq!(found(&both, false).as_deref(), Some("model.safetensors"));
        assert_eq!(found(&both, true).as_deref(), Some("model.fp16.safetensors"));
        assert_eq!(found(&["model.fp16.safetensors"], false).as_deref(), Some("model.fp16.safetensors"));
        assert_eq!(found(&["pytorch_model.bin"], true).as_deref(), Some("pytorch_model.bin"));
        assert_eq!(found(&["config.json", "diffusion_pytorch_model.bin"], true), None);
    }
}
