//! GGUF files against gguf's own widening (`tests/reference/make_gguf_fixtures.py` of the repository).

use std::path::{Path, PathBuf};

use ae_checkpoint::Checkpoint;

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

#[test]
fn every_type_is_widened_as_gguf_widens_it() {
    let checkpoint = Checkpoint::open(path("kinds.gguf")).unwrap();
    let expected = Checkpoint::open(path("kinds.safetensors")).unwrap();
    assert_eq!(checkpoint.tensors().len(), 15);
    for (name, expected) in expected.tensors() {
        let found = checkpoint.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let [found, expected] = [found, expected].map(|tensor| tensor.to_f32().unwrap());
        assert!(found == expected, "{name}: {:?}, expected {:?}", &found[..6], &expected[..6]);
    }
}

#[test]
fn the_values_beside_the_tensors_are_metadata() {
    let checkpoint = Checkpoint::open(path("kinds.gguf")).unwrap();
    let value = |key: &str| checkpoint.metadata().get(key).map(String::as_str);
    let expected = [Some("of many kinds"), Some("3"), Some("sd1"), None, None];
    assert_eq!(["note", "count", "general.architecture", "list", "share"].map(value), expected);
}

/// Every end is found, and nothing is read beyond it.
#[test]
fn a_short_file_is_to_be_fetched_again() {
    let whole = std::fs::read(path("kinds.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short.gguf");
    for length in (4..1400).step_by(37).chain([whole.len() / 2, whole.len() - 64]) {
        std::fs::write(&short, &whole[..length]).unwrap();
        let error = Checkpoint::open(&short).unwrap_err().to_string();
        assert!(error.contains("is not a whole GGUF file, it is truncated"), "{length}: {error}");
    }
}

#[test]
fn files_that_lie_are_refused() {
    let whole = std::fs::read(path("kinds.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.gguf");
    let error = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(&changed, file).unwrap();
        Checkpoint::open(&changed).unwrap_err().to_string()
    };
    let at = |name: &str| whole.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len();
    // The name is followed by the number of dimensions, two of eight bytes, and the type.
    let (q6, q8) = (at("Q6_K"), at("Q8_0"));
    for (at, bytes, named) in [
        (4, 1u32.to_le_bytes().as_slice(), "it is of version 1; supported are 2 and 3"),
        (4, &3u32.to_be_bytes(), "it is big-endian"),
        (8, &u64::MAX.to_le_bytes(), ""),
        (16, &u64::MAX.to_le_bytes(), ""),
        (24, &u64::MAX.to_le_bytes(), "it is truncated"),
        (q6, &9u32.to_le_bytes(), "'Q6_K' has 9 dimensions"),
        (q6 + 4, &u64::MAX.to_le_bytes(), "'Q6_K' has the shape"),
        (q6 + 4, &255u64.to_le_bytes(), "'Q6_K' has the shape [2, 255]"),
        (
            q6 + 20,
            &16u32.to_le_bytes(),
            "'Q6_K' is of ggml's type 16, which is not supported; choose a file in F32, F16",
        ),
        (q6 + 24, &u64::MAX.to_le_bytes(), "'Q6_K' has the shape"),
        (q6 + 24, &(1u64 << 40).to_le_bytes(), "it is truncated"),
        (q8 - 4, b"Q6_K", "the tensor 'Q6_K' is there twice"),
    ] {
        let error = error(at, bytes);
        assert!(error.contains(named) && error.contains("changed.gguf"), "{named}: {error}");
    }
}

/// A file of one tensor and 64 bytes of numbers.
fn file_of(kind: u32, shape: &[u64]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3_u32.to_le_bytes());
    file.extend([1_u64, 0, 1].iter().flat_map(|number| number.to_le_bytes()));
    file.push(b'x');
    file.extend((shape.len() as u32).to_le_bytes());
    file.extend(shape.iter().flat_map(|side| side.to_le_bytes()));
    file.extend(kind.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32) + 64, 0);
    file
}

/// Blocks hold 32 or 256 numbers of a row: a tensor without rows, or of shorter ones, has none.
#[test]
fn quantized_tensors_have_rows_of_whole_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.gguf");
    for kind in [2, 3, 6, 7, 8, 10, 11, 12, 13, 14] {
        for shape in [&[][..], &[1], &[31], &[16, 2], &[1, 256]] {
            std::fs::write(&path, file_of(kind, shape)).unwrap();
            let error = Checkpoint::open(&path).unwrap_err().to_string();
            assert!(error.contains("the tensor 'x' has the shape"), "type {kind}, {shape:?}: {error}");
        }
    }
    // A single number of a plain type is one, and no rows are none.
    for (kind, shape, count) in [(0, &[][..], 1), (1, &[][..], 1), (2, &[0][..], 0), (14, &[0, 3][..], 0)] {
        std::fs::write(&path, file_of(kind, shape)).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let tensor = checkpoint.get("x").unwrap();
        assert_eq!((tensor.num_elements(), tensor.to_f32().unwrap().len()), (count, count), "type {kind}, {shape:?}");
    }
}
