//! Models of the real size in every format: `cargo xtask test --full`.
//!
//! `tests/reference/make_full.py` builds them with random weights, some 20 GB that are never committed.

use std::path::PathBuf;

use ae_tests::Formats;

#[test]
#[ignore = "needs the models of `cargo xtask test --full`"]
fn every_format_computes_what_diffusers_does() {
    let folder = std::env::var_os("AE_FULL_MODELS").expect("AE_FULL_MODELS is the folder of make_full.py");
    let folder = PathBuf::from(folder);
    let formats = Formats::read(&folder);
    assert!(formats.variants.len() >= 10, "{} formats", formats.variants.len());
    for variant in &formats.variants {
        formats.check(&folder, variant);
    }
}
