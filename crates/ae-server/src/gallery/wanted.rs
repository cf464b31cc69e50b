use ae_settings::{Method, Settings};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Entry;

/// Most entries of one answer.
pub(crate) const MOST: usize = 200;

/// Which entries are wanted. What is absent leaves nothing out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// At most so many entries; never more than 200.
    #[serde(default = "usual_limit")]
    pub(crate) limit: usize,
    /// Only entries older than this one.
    pub(crate) before: Option<String>,
    /// Only entries whose prompt has every one of these words, or parts of words, in any case.
    pub(crate) search: Option<String>,
    /// Only entries of this method.
    #[param(value_type = Option<String>)]
    pub(crate) method: Option<Method>,
    /// Only entries whose settings name this model.
    pub(crate) model: Option<String>,
    /// Only favourites, or only others.
    pub(crate) favourite: Option<bool>,
    /// Only the entries of this job.
    pub(crate) job: Option<String>,
}

fn usual_limit() -> usize {
    50
}

impl Wanted {
    /// Whether an entry may be wanted, as far as its name says.
    pub(crate) fn may_be(&self, id: &str) -> bool {
        let is_of = |job: &String| id.rsplit_once('-').is_some_and(|(of, _)| of == job);
        self.before.as_ref().is_none_or(|before| id < before.as_str()) && self.job.as_ref().is_none_or(is_of)
    }

    /// Whether an entry is wanted, as far as its settings say.
    pub(crate) fn is(&self, entry: &Entry) -> bool {
        let text = |name: &str| entry.settings[name].as_str();
        // Pictures of before there were methods were all made by one.
        let method = text("method").map_or(Some(Settings::default().method), |name| name.parse().ok());
        let prompt = text("prompt").unwrap_or_default().to_lowercase();
        let search = self.search.as_deref().unwrap_or_default().to_lowercase();
        search.split_whitespace().all(|word| prompt.contains(word))
            && self.method.is_none_or(|wanted| method == Some(wanted))
            && self.model.as_deref().is_none_or(|wanted| text("model") == Some(wanted))
            && self.favourite.is_none_or(|wanted| entry.favourite == wanted)
    }
}
