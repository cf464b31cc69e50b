//! Embeddings in the text of a picture, as AUTOMATIC1111's program shares them.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use ae_files::png_chunks::TextChunks;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{EmbeddingError, PARAMETERS};
use crate::tensor::Source;
use crate::{Checkpoint, ElementType, OpenError, StoredTensor};

const KEYWORD: &str = "sd-ti-embedding";
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// What `embedding_from_b64` of `modules/textual_inversion/image_embedding.py` reads; the training that it tells of is left aside.
#[derive(Deserialize)]
struct Text {
    string_to_param: BTreeMap<String, Values>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Values {
    #[serde(rename = "TORCHTENSOR")]
    rows: Rows,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rows {
    One(Vec<f32>),
    Several(Vec<Vec<f32>>),
}

/// The embedding of a PNG file as a checkpoint would have it; `None` for any other file.
pub(super) fn open(path: &Path) -> Result<Option<Checkpoint>, EmbeddingError> {
    let name = path.display().to_string();
    let failed = |cause| OpenError::Io { name: name.clone(), cause };
    // Why a file cannot be opened is said by what opens it as a checkpoint.
    let Ok(file) = ae_files::open_file(path) else { return Ok(None) };
    let mut file = BufReader::new(file);
    let mut start = Vec::new();
    if file.by_ref().take(SIGNATURE.len() as u64).read_to_end(&mut start).is_err() || start != SIGNATURE {
        return Ok(None);
    }
    file.rewind().map_err(failed)?;
    let read = |cause| EmbeddingError::Read { name: name.clone(), cause };
    let text = TextChunks::open(file).and_then(|mut texts| texts.get(KEYWORD));
    let Some(text) = text.map_err(|error| read(io::Error::other(error)))? else {
        return Err(EmbeddingError::Picture { name: name.clone() });
    };
    let invalid = |reason: String| read(io::Error::new(io::ErrorKind::InvalidData, reason));
    let json = STANDARD.decode(text.trim()).map_err(|error| invalid(error.to_string()))?;
    let text: Text = serde_json::from_slice(&json).map_err(|error| invalid(error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (placeholder, Values { rows }) in text.string_to_param {
        let (shape, values) = match rows {
            Rows::One(values) => (vec![values.len()], values),
            Rows::Several(rows) => {
                let width = rows.first().map_or(0, Vec::len);
                if rows.iter().any(|row| row.len() != width) {
                    return Err(invalid("its vectors are of different widths".to_owned()));
                }
                (vec![rows.len(), width], rows.concat())
            }
        };
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = StoredTensor::new(ElementType::F32, shape, Source::Memory(bytes.into()));
        tensors.insert(format!("{PARAMETERS}{placeholder}"), tensor);
    }
    if tensors.is_empty() {
        return Err(invalid("it has no vectors".to_owned()));
    }
    let metadata = text.name.into_iter().map(|token| ("name".to_owned(), token)).collect();
    Ok(Some(Checkpoint::new(name.clone(), tensors).with_metadata(metadata)))
}
