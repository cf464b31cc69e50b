use ae_hub::{CachedModel, Hub, KNOWN, KnownModel};

use crate::error::CliError;
use crate::output::{Align, print, say, size, table};
use attend_and_excite::embedded_model;

/// Lists the models at hand: compiled in, in the hub's cache, known by a short name.
pub(crate) fn models() -> Result<(), CliError> {
    let hub = Hub::from_env()?;
    let cached = hub.cached()?;
    let drawable: Vec<&CachedModel> = cached.iter().filter(|model| model.stable_diffusion).collect();
    let embedded = embedded_model().map(|model| {
        let bytes = model.files.iter().map(|(_, content)| content.len() as u64).sum();
        [model.name.to_owned(), size(bytes), "see `ae notices`".to_owned(), "compiled in".to_owned()]
    });
    let heading = ["model", "size", "licence", ""].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(heading)
        .chain(embedded)
        .chain(drawable.iter().map(|model| cached_row(model)))
        .chain(KNOWN.iter().filter(|known| !drawable.iter().any(|model| model.repo == known.repo)).map(known_row))
        .collect();
    print(&table([Align::Left, Align::Right, Align::Left, Align::Left], &rows));
    let others = cached.len() - drawable.len();
    if others > 0 {
        say(&format!("{others} other model(s) in the cache are no Stable Diffusion 1 or 2 in diffusers' layout"));
    }
    Ok(())
}

fn cached_row(model: &CachedModel) -> [String; 4] {
    let licence = model.known.map_or("see its page on the hub", |known| known.licence);
    let state = if model.complete { "cached" } else { "cached in part" };
    [model.short_name(), size(model.bytes), licence.to_owned(), format!("{state}: {}", model.folder.display())]
}

fn known_row(known: &KnownModel) -> [String; 4] {
    let bytes = size(known.download_bytes(false));
    [known.alias.to_owned(), bytes, known.licence.to_owned(), format!("{} ({})", known.description, known.repo)]
}
