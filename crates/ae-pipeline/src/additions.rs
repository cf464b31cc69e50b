//! LoRAs and textual inversions.

use std::collections::BTreeSet;

use ae_checkpoint::{Embedding, Lora, LoraNetwork};
use ae_clip::{ClipTextModel, ClipTokenizer};
use ae_settings::{EmbeddingRef, FileRef, LoraRef};
use ae_tensor::{CheckpointError, FloatType, apply_lora, lora_places, quantize_weights};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::LoadError;

/// LoRAs with their strengths.
#[derive(Debug)]
pub(crate) struct Loras(Vec<(Lora, Strengths)>);

/// The strengths of a LoRA in the two networks.
#[derive(Debug)]
struct Strengths {
    text_encoder: f64,
    unet: f64,
}

impl Strengths {
    fn of(lora: &LoraRef) -> Self {
        Self { text_encoder: lora.strength, unet: lora.strength_in_unet() }
    }

    fn in_network(&self, network: LoraNetwork) -> f64 {
        match network {
            LoraNetwork::TextEncoder => self.text_encoder,
            LoraNetwork::UNet => self.unet,
        }
    }
}

impl Loras {
    pub(crate) fn open(loras: &[LoraRef]) -> Result<Self, LoadError> {
        let open = |lora: &LoraRef| Ok((Lora::open(&lora.name)?, Strengths::of(lora)));
        loras.iter().map(open).collect::<Result<_, LoadError>>().map(Self)
    }

    /// Merges the layers that they have for one of the networks into its weights, which are no quantised ones.
    pub(crate) fn merge_into<M: Module>(
        &self,
        network: LoraNetwork,
        module: &mut M,
        dtype: FloatType,
    ) -> Result<(), LoadError> {
        self.0.iter().try_for_each(|(lora, strengths)| {
            let layers = lora.layers.iter().filter(|layer| layer.network == network).cloned();
            let mismatch = |cause| LoadError::Lora { file: lora.name.clone(), cause };
            apply_lora(module, layers, strengths.in_network(network), dtype).map_err(mismatch)
        })
    }

    /// As [`merge_into`](Self::merge_into). Quantised weights that they change are first read again as they are in the file, by `restore`,
    /// and quantised when all is merged.
    pub(crate) fn add_to<M: Module>(
        &self,
        network: LoraNetwork,
        module: &mut M,
        dtype: FloatType,
        restore: impl FnOnce(&mut M, FloatType, BTreeSet<String>) -> Result<(), CheckpointError>,
    ) -> Result<(), LoadError> {
        if dtype != FloatType::Q8 {
            return self.merge_into(network, module, dtype);
        }
        restore(module, dtype.unquantized(), self.places(network, module))?;
        self.merge_into(network, module, dtype.unquantized())?;
        quantize_weights(module);
        Ok(())
    }

    /// The parameters of one of the networks that they change.
    pub(crate) fn places(&self, network: LoraNetwork, module: &impl Module) -> BTreeSet<String> {
        let layers = self.0.iter().flat_map(|(lora, _)| &lora.layers);
        lora_places(module, layers.filter(|layer| layer.network == network))
    }

    /// Whether their files have textual inversions too.
    pub(crate) fn have_embeddings(&self) -> bool {
        self.0.iter().any(|(lora, _)| !lora.embeddings.is_empty())
    }

    /// What in their files has no effect.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|(lora, _)| lora.notes.clone())
    }
}

/// The tokens of a textual inversion, which the tokenizer has already.
pub(crate) struct EmbeddedTokens {
    file: String,
    token: String,
    first_id: u32,
    vectors: Vec<Vec<f32>>,
}

impl EmbeddedTokens {
    /// Reads textual inversions, and adds their tokens to a tokenizer: first those of the files, then those that came with LoRAs.
    pub(crate) fn add(
        embeddings: &[EmbeddingRef],
        loras: &Loras,
        tokenizer: &mut ClipTokenizer,
    ) -> Result<Vec<Self>, LoadError> {
        let mut found: Vec<(String, Embedding)> = Vec::new();
        for chosen in embeddings {
            let embeddings = Embedding::open(&chosen.name, chosen.token.as_deref())?;
            found.extend(embeddings.into_iter().map(|embedding| (chosen.name.clone(), embedding)));
        }
        for (lora, _) in &loras.0 {
            found.extend(lora.embeddings.iter().map(|embedding| (lora.name.clone(), embedding.clone())));
        }
        let add = |(file, Embedding { token, vectors }): (String, Embedding)| match tokenizer
            .add_embedding_tokens(&token, vectors.len())
        {
            Ok(ids) => Ok(Self { file, token, first_id: ids.start, vectors }),
            Err(cause) => Err(LoadError::Embedding { file, cause: Box::new(cause) }),
        };
        found.into_iter().map(add).collect()
    }

    /// The token that one gets, in words.
    pub(crate) fn note(&self) -> String {
        let (count, s) = (self.vectors.len(), if self.vectors.len() == 1 { "" } else { "s" });
        // Also those read it who are not to know where files lie.
        let file = FileRef::new(&self.file);
        format!("'{}' is the token '{}' of a prompt ({count} vector{s})", file.base_name(), self.token)
    }

    /// Adds the vectors to the text encoder.
    pub(crate) fn add_to(&self, text_encoder: &mut ClipTextModel) -> Result<(), LoadError> {
        let shape = [self.vectors.len(), self.vectors[0].len()];
        let vectors = Tensor::from_data(TensorData::new(self.vectors.concat(), shape), &text_encoder.device());
        let added = text_encoder.add_token_embeddings(self.first_id, vectors);
        added.map_err(|cause| LoadError::Embedding { file: self.file.clone(), cause: Box::new(cause) })
    }
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    /// Tokens of the two kinds of files, in the order of their ids; and what is said of them.
    #[test]
    fn tokens_come_from_embeddings_and_from_loras() {
        let folder = tempfile::tempdir().unwrap();
        let zeros = [0u8; 64];
        let write = |file: &str, tensors: &[(&str, [usize; 2])]| {
            let views = tensors.iter().map(|(key, shape)| {
                let size = shape.iter().product::<usize>() * 4;
                (*key, TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..size]).unwrap())
            });
            let path = folder.path().join(file);
            std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
            path.to_string_lossy().into_owned()
        };
        let lora =
            write("ink.safetensors", &[("bundle_emb.<ink>.string_to_param.*", [3, 2]), ("lora_unet_a.diff", [2, 2])]);
        let two = write("two.safetensors", &[("<a>", [1, 2]), ("<b>", [2, 2])]);
        let loras = Loras::open(&[LoraRef::new(lora, 1.0)]).unwrap();
        assert!(loras.have_embeddings() && !Loras(Vec::new()).have_embeddings());
        let mut tokenizer = ClipTokenizer::stable_diffusion_1();
        let added = EmbeddedTokens::add(&[EmbeddingRef::new(two.clone(), None)], &loras, &mut tokenizer).unwrap();
        let found: Vec<_> = added.iter().map(|tokens| (tokens.token.as_str(), tokens.first_id)).collect();
        assert_eq!(found, [("<a>", 49_408), ("<b>", 49_409), ("<ink>", 49_411)]);
        let notes: Vec<_> = added.iter().map(EmbeddedTokens::note).collect();
        assert_eq!(notes[0], "'two.safetensors' is the token '<a>' of a prompt (1 vector)");
        assert_eq!(notes[2], "'ink.safetensors' is the token '<ink>' of a prompt (3 vectors)");
        let ids = tokenizer.tokenize("a <ink> cat").unwrap().ids();
        assert_eq!(ids[1..6], [320, 49_411, 49_412, 49_413, 2368]);

        let mut tokenizer = ClipTokenizer::stable_diffusion_1();
        let chosen = [EmbeddingRef::new(two, Some("<b>".to_owned()))];
        let added = EmbeddedTokens::add(&chosen, &Loras(Vec::new()), &mut tokenizer).unwrap();
        assert_eq!((added.len(), added[0].token.as_str()), (1, "<b>"));
    }
}
