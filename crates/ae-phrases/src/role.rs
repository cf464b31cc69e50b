use crate::chunk::Chunk;
use crate::colours::is_colour;
use crate::words::Token;

/// Whether the picture is to show what a phrase names. The rules are those of [`crate::NounPhrase::is_shown`]; the lists are of
/// nouns that say something of the picture, not of things in it.
pub(crate) fn is_shown(tokens: &[Token], chunks: &[Chunk], index: usize) -> bool {
    let Chunk { start, end, is_determined, .. } = chunks[index];
    let head = tokens[end - 1].text.as_str();
    let before = start.checked_sub(1).map_or(",", |before| tokens[before].text.as_str());
    let after = tokens.get(end).map_or(",", |after| after.text.as_str());

    // "a photo of", "a pair of", "on top of".
    let frames = after == "of" && [MEDIA, QUANTITIES, PLACES].iter().any(|list| list.contains(&head));
    let is_support = |at: usize| tokens.get(at).is_some_and(|token| matches!(token.text.as_str(), "canvas" | "paper"));

    // "..., digital art, ...", "oil painting by ..." and "oil on canvas", but "a cat looking at a painting".
    let is_remark = !is_determined && MEDIA.contains(&head) && is_mark(before) && {
        is_mark(after) || after == "by" || after == "on" && is_support(end + 1)
    };
    // "at night", "by Rembrandt", but "at the table", "by a river".
    let is_setting = !is_determined && (matches!(before, "at" | "by") || before == "on" && is_support(start));
    // "in the style of Van Gogh".
    let is_model = before == "of" && index > 0 && chunks[index - 1].end + 1 == start && {
        MANNERS.contains(&tokens[chunks[index - 1].end - 1].text.as_str())
    };
    // "a red and a blue": of the colours only some are also fruit and flowers.
    let is_only_colour = is_colour(head) && !matches!(head, "orange" | "violet");
    !(frames || is_only_colour || is_remark || is_setting || is_model || MANNERS.contains(&head))
}

/// Whether a token ends a remark: punctuation.
fn is_mark(text: &str) -> bool {
    !text.starts_with(char::is_alphanumeric)
}

/// What pictures are: before `of`, or as a remark between commas.
const MEDIA: &[&str] = &[
    "acrylic",
    "animation",
    "art",
    "artwork",
    "cartoon",
    "close-up",
    "closeup",
    "collage",
    "depiction",
    "doodle",
    "drawing",
    "engraving",
    "footage",
    "icon",
    "illustration",
    "image",
    "ink",
    "logo",
    "mosaic",
    "oil",
    "painting",
    "photo",
    "photograph",
    "photography",
    "photos",
    "picture",
    "pictures",
    "portrait",
    "poster",
    "print",
    "render",
    "rendering",
    "scene",
    "screenshot",
    "selfie",
    "shot",
    "sketch",
    "snapshot",
    "sticker",
    "still",
    "view",
    "wallpaper",
    "watercolor",
    "watercolour",
];

/// How many, or of what sort: before `of`.
const QUANTITIES: &[&str] = &[
    "bunch", "couple", "crowd", "dozens", "flock", "group", "herd", "kind", "lot", "lots", "number", "pack", "pair",
    "pairs", "plenty", "row", "set", "sort", "type", "variety",
];

/// Where: before `of`.
const PLACES: &[&str] = &[
    "back", "bottom", "center", "centre", "corner", "edge", "front", "inside", "left", "middle", "outside", "right",
    "side", "top",
];

/// What pictures have, and no thing in them is.
const MANNERS: &[&str] = &[
    "artstation",
    "background",
    "backgrounds",
    "bokeh",
    "composition",
    "detail",
    "details",
    "focus",
    "foreground",
    "lighting",
    "masterpiece",
    "quality",
    "resolution",
    "style",
    "styles",
];
