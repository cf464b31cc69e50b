//! The models at hand.

use ae_hub::{CachedModel, Hub, KNOWN, ModelId};

use crate::{Align, Error, embedded_model, size, table};

/// A table of the models that are compiled in, in the hub's cache, and known by a short name; and how many in the cache are none
/// that can be drawn with.
///
/// # Errors
///
/// When the cache cannot be read.
pub fn model_table() -> Result<(String, usize), Error> {
    let cached = Hub::from_env()?.cached()?;
    let drawable: Vec<&CachedModel> = cached.iter().filter(|model| model.stable_diffusion).collect();
    let embedded = embedded_model().map(|model| {
        let bytes = model.files.iter().map(|(_, content)| content.len() as u64).sum();
        [model.name.to_owned(), size(bytes), "see `ae notices`".to_owned(), "compiled in".to_owned()]
    });
    let of_cache = drawable.iter().map(|model| {
        let licence = model.known.map_or("see its page on the hub", |known| known.licence);
        let state = if model.complete { "cached" } else { "cached in part" };
        [model.short_name(), size(model.bytes), licence.to_owned(), format!("{state}: {}", model.folder.display())]
    });
    let known = KNOWN.iter().filter(|known| !drawable.iter().any(|model| model.repo == known.repo)).map(|known| {
        let bytes = size(known.download_bytes(false));
        [known.alias.to_owned(), bytes, known.licence.to_owned(), format!("{} ({})", known.description, known.repo)]
    });
    let heading = ["model", "size", "licence", ""].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(heading).chain(embedded).chain(of_cache).chain(known).collect();
    Ok((table([Align::Left, Align::Right, Align::Left, Align::Left], &rows), cached.len() - drawable.len()))
}

/// The models of the cache that a name means: every commit of a repository, or those of a revision.
///
/// # Errors
///
/// When the text is no name, the cache cannot be read, or there is no such model.
pub fn cached_models(hub: &Hub, name: &str) -> Result<Vec<CachedModel>, Error> {
    let no_model = |reason: String| Error::Model { name: name.to_owned(), reason };
    let id = ModelId::parse(name).map_err(|error| no_model(error.to_string()))?;
    let is_meant = |model: &CachedModel| {
        let revision = id.revision();
        model.repo == id.repo()
            && (!id.names_revision()
                || model.commit == revision
                || model.revisions.iter().any(|known| known == revision))
    };
    let models: Vec<_> = hub.cached()?.into_iter().filter(is_meant).collect();
    if models.is_empty() {
        Err(no_model("the cache has no such model: see `ae models`".to_owned()))
    } else {
        Ok(models)
    }
}

/// The names that models can be called by: compiled in, in the cache, known.
pub fn model_names() -> Vec<String> {
    let cached = Hub::from_env().and_then(|hub| hub.cached()).unwrap_or_default();
    let cached = cached.iter().filter(|model| model.stable_diffusion).map(CachedModel::short_name);
    let embedded = embedded_model().map(|_| "embedded".to_owned());
    let mut names: Vec<_> =
        embedded.into_iter().chain(KNOWN.iter().map(|known| known.alias.to_owned())).chain(cached).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_every_commit_and_a_revision_one() {
        let cache = tempfile::tempdir().unwrap();
        let commits = ["0", "1"].map(|digit| digit.repeat(40));
        let repo = cache.path().join("models--CompVis--stable-diffusion-v1-4");
        for commit in &commits {
            std::fs::create_dir_all(repo.join("snapshots").join(commit)).unwrap();
        }
        std::fs::create_dir_all(repo.join("refs")).unwrap();
        std::fs::write(repo.join("refs/main"), &commits[1]).unwrap();
        let hub = Hub::new(ae_hub::HubSettings::new(cache.path())).unwrap();
        let commits_of = |models: Vec<CachedModel>| models.into_iter().map(|model| model.commit).collect::<Vec<_>>();
        let found = |name: &str| cached_models(&hub, name).map(commits_of);
        assert_eq!(found("sd14").unwrap(), commits.to_vec());
        assert_eq!(found("sd14@main").unwrap(), [commits[1].clone()]);
        assert_eq!(found(&format!("CompVis/stable-diffusion-v1-4@{}", commits[0])).unwrap(), [commits[0].clone()]);
        for name in ["sd15", "sd14@v1", "org/name", "nothing"] {
            assert!(matches!(found(name), Err(Error::Model { .. })), "{name}");
        }
    }

    #[test]
    fn names_are_listed_once() {
        let names = model_names();
        assert!(names.contains(&"sd-turbo".to_owned()), "{names:?}");
        assert_eq!(names.iter().filter(|name| *name == "sd14").count(), 1);
    }
}
