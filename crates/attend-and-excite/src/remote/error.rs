/// A studio on another machine that does not draw.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// No address of a studio. It is not shown: a token may stand in it.
    #[error("this is no address of a studio: {reason}; expected one such as http://HOST:7860")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// A token that cannot be sent.
    #[error("the token has characters that no token of a studio has: expected ASCII letters, digits, '-' and '_'")]
    Token,
    /// Nobody answers.
    #[error(
        "the studio at '{studio}' does not answer: {reason}; is `ae serve` running there, with --listen for other machines?"
    )]
    Unreachable {
        /// Its address.
        studio: String,
        /// What the system says.
        reason: String,
    },
    /// A token that is wrong, or missing.
    #[error("the studio at '{studio}' wants its token: give the whole address that it printed, or set AE_TOKEN")]
    Unauthorized {
        /// Its address.
        studio: String,
    },
    /// An answer that no studio gives.
    #[error("what answers at '{studio}' is no studio of this program, or of another version")]
    NoStudio {
        /// Its address.
        studio: String,
    },
    /// A request that the studio does not take.
    #[error("the studio at '{studio}' refuses it: {message}")]
    Refused {
        /// Its address.
        studio: String,
        /// The option that is to blame, if it is one.
        field: Option<String>,
        /// What the studio says.
        message: String,
    },
    /// A job that failed there.
    #[error("drawing failed at '{studio}': {message}")]
    Failed {
        /// Its address.
        studio: String,
        /// What the studio says.
        message: String,
    },
    /// A job that somebody ended.
    #[error("the job was cancelled at '{studio}'")]
    Cancelled {
        /// Its address.
        studio: String,
    },
    /// A file of this machine.
    #[error(transparent)]
    Image(#[from] crate::Error),
}
