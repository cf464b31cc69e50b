//! What a shell offers as values.

use clap_complete::CompletionCandidate;

/// The models that have a name, for a shell.
pub(crate) fn model_names() -> Vec<CompletionCandidate> {
    attend_and_excite::model_names().into_iter().map(CompletionCandidate::new).collect()
}
