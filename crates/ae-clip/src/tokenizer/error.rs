use std::io;
use std::path::PathBuf;

use crate::weighting::WeightError;

/// A tokenizer that cannot be built, or a prompt it cannot take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file of the tokenizer folder cannot be read.
    #[error(
        "cannot read '{path}': {cause}; a tokenizer folder holds tokenizer.json, or vocab.json and merges.txt",
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
    #[error("tokenizer.json describes a '{found}' model; CLIP's is 'BPE'")]
    NotBpe {
        /// The kind it names.
        found: String,
    },
    /// A line of `merges.txt` is not a pair of tokens.
    #[error("merges.txt, line {line}: expected two tokens with a space between them, found '{text}'")]
    MergeLine {
        /// The line, counted from 1.
        line: usize,
        /// Its text.
        text: String,
    },
    /// A merge names or makes a token that the vocabulary lacks.
    #[error(
        "the merge '{left} {right}' needs the token '{token}', which the vocabulary lacks; \
         vocabulary and merges must come from the same tokenizer"
    )]
    UnknownMergeToken {
        /// The left half of the merge.
        left: String,
        /// The right half of the merge.
        right: String,
        /// The token that is not there.
        token: String,
    },
    /// Two tokens of the vocabulary have one id.
    #[error("the vocabulary gives the id {id} to both '{first}' and '{second}'")]
    RepeatedId {
        /// The id.
        id: u32,
        /// One of its tokens.
        first: String,
        /// The other.
        second: String,
    },
    /// An id of the vocabulary is too large for an index.
    #[error("the vocabulary gives '{token}' the id {id}; ids end at {max}", max = i32::MAX)]
    HugeId {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
    },
    /// A special token is not in the vocabulary.
    #[error("the {role} '{token}' is not in the vocabulary; CLIP needs <|startoftext|> and <|endoftext|>")]
    MissingSpecialToken {
        /// Its key in `tokenizer_config.json`, such as `bos_token`.
        role: &'static str,
        /// The token.
        token: String,
    },
    /// A length that leaves no room for a token of the prompt.
    #[error("model_max_length is {found} in tokenizer_config.json; expected at least 3 (CLIP: 77)")]
    MaxLength {
        /// What the file says.
        found: f64,
    },
    /// The tokenizers library refused the parts.
    #[error("cannot build the tokenizer: {reason}")]
    Build {
        /// What the library said.
        reason: String,
    },
    /// The name of a textual inversion has no character to find in a prompt.
    #[error("the name of an embedding is blank; give it one such as '<toy>'")]
    BlankEmbeddingName,
    /// A textual inversion without vectors, or with more than fit.
    #[error("the embedding '{name}' has {found} vectors; a prompt has room for 1..={max}")]
    EmbeddingVectors {
        /// The name of the embedding.
        name: String,
        /// The number of its vectors.
        found: usize,
        /// The number of tokens a prompt can have.
        max: usize,
    },
    /// The vocabulary has a token of the name, or of one of its further vectors.
    #[error(
        "the embedding '{name}' cannot be added: the token '{token}' is already in the vocabulary; choose another name"
    )]
    EmbeddingTokenExists {
        /// The name of the embedding.
        name: String,
        /// The token that is there.
        token: String,
    },
    /// A name that is the one of another embedding's next vector.
    #[error(
        "the embedding '{name}' cannot be added: its name would read as a further vector of '{other}'; choose another name"
    )]
    EmbeddingNameContinues {
        /// The name of the embedding.
        name: String,
        /// The embedding that is there.
        other: String,
    },
    /// A weighted prompt whose weights are no numbers.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// A prompt far beyond what the model can read.
    #[error("the prompt has {bytes} bytes; at most {max} are accepted (the model reads about 75 words)")]
    PromptTooLong {
        /// Its length.
        bytes: usize,
        /// [`MAX_PROMPT_BYTES`](crate::MAX_PROMPT_BYTES).
        max: usize,
    },
    /// A prompt of more chunks than are read.
    #[error("the prompt has {chunks} chunks of tokens; at most {max} are read: shorten it")]
    TooManyChunks {
        /// Their number.
        chunks: usize,
        /// [`MOST_CHUNKS`](crate::MOST_CHUNKS).
        max: usize,
    },
    /// The tokenizers library failed on a prompt.
    #[error("cannot tokenize the prompt: {reason}")]
    Encode {
        /// What the library said.
        reason: String,
    },
}
