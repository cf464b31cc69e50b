mod picture;

use std::io;
use std::path::Path;

use crate::{Checkpoint, CheckpointKind, ForeignError, OpenError, StoredTensor};

/// A textual inversion (Gal et al. 2022): embeddings for a token that the text encoder does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The token that stands for it in prompts, such as `<cat-toy>`.
    pub token: String,
    /// One embedding per vector, each as wide as the text encoder's hidden states.
    pub vectors: Vec<Vec<f32>>,
}

/// A file that holds no textual inversion.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// The file cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file holds something else.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// The tensor is no list of embeddings.
    #[error("the embedding in '{name}' has the shape {shape:?}; expected [vectors, width], at most {most} vectors")]
    Shape {
        /// The file.
        name: String,
        /// The tensor's shape.
        shape: Vec<usize>,
        /// The largest number of vectors accepted.
        most: usize,
    },
    /// A tensor alone, which no token is beside.
    #[error("the embedding '{name}' is a tensor without a token; give one, as in '{name}:<toy>'")]
    NoToken {
        /// The file.
        name: String,
    },
    /// A picture that carries none where it is looked for.
    #[error(
        "'{name}' is a picture without the text 'sd-ti-embedding'; an embedding in its pixels alone is not read: \
         get it as .safetensors or .pt"
    )]
    Picture {
        /// The file.
        name: String,
    },
    /// A token that none of a file of several has.
    #[error(
        "the file '{name}' has the embeddings {}, and none for the token '{token}'; choose one of these, or give no token",
        quoted(tokens)
    )]
    NotAmong {
        /// The file.
        name: String,
        /// The token that was given.
        token: String,
        /// Those of the file.
        tokens: Vec<String>,
    },
    /// A tensor that is no embedding of this text encoder.
    #[error("the embedding '{name}' has '{key}' beside its vectors, which is not supported")]
    Unsupported {
        /// The file.
        name: String,
        /// The tensor.
        key: String,
    },
    /// The tensor cannot be read.
    #[error("cannot read the embedding in '{name}': {cause}")]
    Read {
        /// The file.
        name: String,
        /// What went wrong.
        cause: io::Error,
    },
}

const EXPECTED: &str = "a textual inversion embedding";
/// What stands in front of the embeddings in the file of a LoRA.
pub(crate) const BUNDLED: &str = "bundle_emb.";
/// The original trainer's and AUTOMATIC1111's dictionaries: of vectors, and of the ids that their placeholders had in training.
const PARAMETERS: &str = "string_to_param.";
const PLACEHOLDERS: &str = "string_to_token.";
/// The placeholder that says nothing.
const ANY: &str = "*";
/// Names of what a tensor is for, which are no tokens: kohya's, and those of the text encoders of Stable Diffusion 1 and 2.
const NO_TOKENS: [&str; 4] = ["emb_params", "clip_l", "clip_h", "text_encoders_0"];
/// Names of text encoders that only later generations have.
const LATER: [&str; 3] = ["clip_g", "text_encoders_1", "t5xxl"];

impl Embedding {
    /// More vectors than a prompt has tokens are of no use.
    const MOST_VECTORS: usize = 75;

    /// Reads the embeddings of a file, as `.safetensors`, `.bin`, `.pt` or in the text of a `.png`: what diffusers, AUTOMATIC1111's program and ComfyUI read.
    ///
    /// | file | token |
    /// | --- | --- |
    /// | diffusers: tensors under the names of their tokens | these |
    /// | `string_to_param` of AUTOMATIC1111 or the original trainer | the file's `name`, or that of the file |
    /// | the same with several placeholders | these |
    /// | `emb_params` of kohya, `clip_l`, `clip_h` | the name of the file without its ending |
    /// | a tensor alone | none |
    ///
    /// `token` takes the place of the file's; of a file of several it chooses the one of that name.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, holds something else, or names no token and none is given.
    pub fn open(path: impl AsRef<Path>, token: Option<&str>) -> Result<Vec<Self>, EmbeddingError> {
        let path = path.as_ref();
        let checkpoint = match picture::open(path)? {
            Some(checkpoint) => checkpoint,
            None => Checkpoint::open(path)?,
        };
        let name = || checkpoint.name().to_owned();
        CheckpointKind::Embedding.check(&checkpoint, EXPECTED)?;
        let stem = || path.file_stem().map_or_else(name, |stem| stem.to_string_lossy().into_owned());
        let mut found = named(&checkpoint)?;
        if let [(only, _)] = found.as_mut_slice() {
            // Only beside AUTOMATIC1111's dictionary it is the token.
            let named = checkpoint.metadata().get("name").filter(|_| checkpoint.has_prefix(PARAMETERS));
            let own = || named.cloned().unwrap_or_else(stem);
            *only = match (token, only.take()) {
                (Some(token), _) => Some(token.to_owned()),
                (None, Some(key)) if key.is_empty() => return Err(EmbeddingError::NoToken { name: name() }),
                (None, key) => key.or_else(|| Some(own())),
            };
        } else if let Some(token) = token {
            let tokens = found.iter().filter_map(|(key, _)| key.clone()).collect();
            found.retain(|(key, _)| key.as_deref() == Some(token));
            if found.is_empty() {
                return Err(EmbeddingError::NotAmong { name: name(), token: token.to_owned(), tokens });
            }
        }
        let read = |(token, tensor): (Option<String>, &StoredTensor)| {
            Ok(Self { token: token.unwrap_or_else(stem), vectors: vectors(&checkpoint, tensor)? })
        };
        found.into_iter().map(read).collect()
    }
}

/// A token, if the file names it, and its vectors.
type Named<'a> = (Option<String>, &'a StoredTensor);

/// The embeddings of a file.
fn named(checkpoint: &Checkpoint) -> Result<Vec<Named<'_>>, EmbeddingError> {
    let is_dictionary = checkpoint.has_prefix(PARAMETERS);
    let mut found: Vec<Named<'_>> = Vec::new();
    for (key, tensor) in checkpoint.tensors() {
        if is_dictionary && key.starts_with(PLACEHOLDERS) {
            continue;
        }
        let token = match key.strip_prefix(PARAMETERS) {
            Some(placeholder) => placeholder,
            None if is_dictionary => {
                let name = checkpoint.name().to_owned();
                return Err(EmbeddingError::Unsupported { name, key: key.clone() });
            }
            None => key,
        };
        found.push((Some(token.to_owned()), tensor));
    }
    // Of one, the original trainer's placeholder is what its prompts had: those who load it write the file's name.
    if let [(token, _)] = found.as_mut_slice()
        && (is_dictionary || token.as_deref().is_some_and(|token| NO_TOKENS.contains(&token)))
    {
        *token = None;
    }
    // A name of what a tensor is for says that the others are no embeddings of their own.
    if found.len() > 1 && checkpoint.tensors().keys().any(|key| NO_TOKENS.contains(&key.as_str())) {
        let other = checkpoint.tensors().keys().find(|key| !NO_TOKENS.contains(&key.as_str()));
        let key = other.or(checkpoint.tensors().keys().next_back()).cloned().unwrap_or_default();
        return Err(EmbeddingError::Unsupported { name: checkpoint.name().to_owned(), key });
    }
    for (token, _) in &mut found {
        if token.as_deref() == Some(ANY) {
            *token = None;
        }
    }
    Ok(found)
}

/// Tensors with their names.
pub(crate) type Tensors<'a> = Vec<(&'a String, &'a StoredTensor)>;

/// The embeddings in the file of a LoRA, after `load_network` of AUTOMATIC1111's `extensions-builtin/Lora/networks.py`; and the
/// other tensors.
pub(crate) fn bundled(checkpoint: &Checkpoint) -> Result<(Vec<Embedding>, Tensors<'_>), EmbeddingError> {
    let mut embeddings = Vec::new();
    let mut rest = Vec::new();
    for (key, tensor) in checkpoint.tensors() {
        let token = key.strip_prefix(BUNDLED).and_then(|key| {
            let dictionary = key.rsplit_once(".string_to_param.").map(|(token, _)| token);
            let plain = || key.rsplit_once('.').filter(|(_, part)| NO_TOKENS.contains(part)).map(|(token, _)| token);
            dictionary.or_else(plain)
        });
        match token {
            Some(token) => {
                embeddings.push(Embedding { token: token.to_owned(), vectors: vectors(checkpoint, tensor)? });
            }
            None => rest.push((key, tensor)),
        }
    }
    Ok((embeddings, rest))
}

/// Whether a file is for the text encoders of Stable Diffusion XL or 3.
pub(crate) fn is_sdxl_embedding(checkpoint: &Checkpoint) -> bool {
    checkpoint.tensors().keys().any(|key| LATER.contains(&key.as_str()))
}

/// Whether a file holds textual inversions: AUTOMATIC1111's dictionary, or vectors of one width under names that are none of
/// parameters.
pub(crate) fn is_embedding(checkpoint: &Checkpoint) -> bool {
    /// More tensors than anybody has tokens of one training.
    const MOST: usize = 256;
    if checkpoint.has_prefix(PARAMETERS) || checkpoint.get("emb_params").is_some() {
        return true;
    }
    let is_parameter = |key: &str| [".weight", ".bias"].iter().any(|ending| key.ends_with(ending));
    let mut widths = checkpoint.tensors().iter().map(|(key, tensor)| match *tensor.shape() {
        [width] | [_, width] if !is_parameter(key) && (tensor.is_float() || key.is_empty()) => Some(width),
        // Of one tensor the shape is named in an error of its own.
        _ => None,
    });
    let first = widths.next().flatten();
    first.is_some() && checkpoint.tensors().len() <= MOST && widths.all(|width| width == first)
}

fn quoted(tokens: &[String]) -> String {
    tokens.iter().map(|token| format!("'{token}'")).collect::<Vec<_>>().join(", ")
}

fn vectors(checkpoint: &Checkpoint, tensor: &StoredTensor) -> Result<Vec<Vec<f32>>, EmbeddingError> {
    let name = || checkpoint.name().to_owned();
    let width = match *tensor.shape() {
        [width] if width > 0 => width,
        [count, width] if width > 0 && (1..=Embedding::MOST_VECTORS).contains(&count) => width,
        ref shape => {
            let (shape, most) = (shape.to_vec(), Embedding::MOST_VECTORS);
            return Err(EmbeddingError::Shape { name: name(), shape, most });
        }
    };
    let values = tensor.to_f32().map_err(|cause| EmbeddingError::Read { name: name(), cause })?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        let cause = io::Error::new(io::ErrorKind::InvalidData, format!("it holds {value}"));
        return Err(EmbeddingError::Read { name: name(), cause });
    }
    Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests;
