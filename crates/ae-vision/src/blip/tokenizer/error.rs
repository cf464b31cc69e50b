use std::io;
use std::path::PathBuf;

/// A tokenizer that cannot be built, or fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BertTokenizerError {
    /// A file of the folder cannot be read.
    #[error(
        "cannot read '{path}': {cause}; a BERT tokenizer's folder holds tokenizer.json or vocab.txt",
        path = path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A JSON text is not what its name promises.
    #[error("{file} is malformed: {cause}; fetch the tokenizer again")]
    Json {
        /// The usual name of the file.
        file: &'static str,
        /// What the parser said.
        cause: serde_json::Error,
    },
    /// A `tokenizer.json` of another kind of tokenizer.
    #[error("tokenizer.json describes a '{found}' model; BLIP's is 'WordPiece'")]
    NotWordPiece {
        /// The kind it names.
        found: String,
    },
    /// An id of the vocabulary is too large for an index.
    #[error("the vocabulary gives '{token}' the id {id}; ids end at {max}", max = i32::MAX)]
    HugeId {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
    },
    /// An added token whose id is not the next one.
    #[error("tokenizer.json gives '{token}' the id {id}, which does not follow the ids before it; fetch it again")]
    AddedId {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
    },
    /// A special token is not in the vocabulary.
    #[error("'{token}' is not in the vocabulary; BERT needs [UNK], [CLS] and [SEP]")]
    MissingSpecialToken {
        /// The token.
        token: &'static str,
    },
    /// The tokenizers library refused the parts.
    #[error("cannot build the tokenizer: {reason}")]
    Build {
        /// What the library said.
        reason: String,
    },
    /// The tokenizers library failed on a text.
    #[error("cannot tokenize the prompt: {reason}")]
    Encode {
        /// What the library said.
        reason: String,
    },
    /// The tokenizers library failed on ids.
    #[error("cannot turn the ids of a caption into text: {reason}")]
    Decode {
        /// What the library said.
        reason: String,
    },
}
