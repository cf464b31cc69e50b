/// Why a figure cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// A run of which no attention was kept.
    #[error("the run '{method}' has no attention maps: they must be recorded while it is drawn")]
    NoMaps {
        /// Its method.
        method: String,
    },
    /// Nothing was drawn.
    #[error("there is no run to show: give the steps of at least one")]
    NoRun,
    /// A prompt without subjects.
    #[error("there is no subject whose attention could be shown: name subjects, or show all tokens")]
    NoSubject,
    /// A prompt without text.
    #[error("the prompt has no token whose attention could be shown")]
    NoToken,
    /// The encoder of the animation failed.
    #[error("the animation cannot be encoded: {0}")]
    Encoding(String),
}
