/// Whether a word, in small letters, names a colour: the eleven of the paper's benchmark (section 4), and the usual others.
pub(crate) fn is_colour(word: &str) -> bool {
    COLOURS.contains(&word)
}

/// The eleven come first.
const COLOURS: [&str; 32] = [
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "gray",
    "black",
    "white",
    "grey",
    "amber",
    "aqua",
    "azure",
    "beige",
    "burgundy",
    "crimson",
    "cyan",
    "golden",
    "indigo",
    "khaki",
    "magenta",
    "maroon",
    "mauve",
    "navy",
    "ochre",
    "scarlet",
    "teal",
    "turquoise",
    "violet",
    "tan",
];
