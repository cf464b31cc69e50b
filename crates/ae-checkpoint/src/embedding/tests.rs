use std::fs;
use std::path::PathBuf;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;

/// A tensor of a file, its numbers 1, 2, 3 and so on.
type Stored<'a> = (&'a str, &'a [usize]);

/// Tokens with their numbers of vectors.
type Tokens<'a> = &'a [(&'a str, usize)];

fn write(folder: &Path, file: &str, tensors: &[Stored<'_>]) -> PathBuf {
    let path = folder.join(file);
    let bytes: Vec<u8> = (1..=4096).flat_map(|value| (value as f32).to_le_bytes()).collect();
    let views = tensors.iter().map(|(key, shape)| {
        let size = shape.iter().product::<usize>() * 4;
        (*key, TensorView::new(Dtype::F32, shape.to_vec(), &bytes[..size]).unwrap())
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

fn open(file: &str, tensors: &[Stored<'_>], token: Option<&str>) -> Result<Vec<Embedding>, EmbeddingError> {
    let folder = tempfile::tempdir().unwrap();
    Embedding::open(write(folder.path(), file, tensors), token)
}

/// Tokens with their numbers of vectors.
fn tokens(file: &str, tensors: &[Stored<'_>], token: Option<&str>) -> Vec<(String, usize)> {
    let found = open(file, tensors, token).unwrap();
    found.into_iter().map(|embedding| (embedding.token, embedding.vectors.len())).collect()
}

#[test]
fn vectors_are_the_rows() {
    let found = open("x.safetensors", &[("<toy>", &[2, 1])], None).unwrap();
    assert_eq!(found, [Embedding { token: "<toy>".to_owned(), vectors: vec![vec![1.0], vec![2.0]] }]);
    let found = open("x.safetensors", &[("<toy>", &[2])], None).unwrap();
    assert_eq!(found[0].vectors, [vec![1.0, 2.0]]);
}

#[test]
fn every_format_has_a_token() {
    let cases: [(&[Stored<'_>], Tokens<'_>); 9] = [
        (&[("<toy>", &[4])], &[("<toy>", 1)]),
        (&[("<toy-v1.5>", &[3, 4])], &[("<toy-v1.5>", 3)]),
        (&[("emb_params", &[2, 4])], &[("my-style", 2)]),
        (&[("clip_l", &[2, 4])], &[("my-style", 2)]),
        (&[("clip_h", &[4])], &[("my-style", 1)]),
        (&[("string_to_param.*", &[2, 4])], &[("my-style", 2)]),
        (&[("string_to_param.sculpture", &[2, 4])], &[("my-style", 2)]),
        (&[("<a>", &[4]), ("<b>", &[2, 4])], &[("<a>", 1), ("<b>", 2)]),
        (&[("string_to_param.a", &[4]), ("string_to_param.b", &[4])], &[("a", 1), ("b", 1)]),
    ];
    for (tensors, expected) in cases {
        let found = tokens("my-style.safetensors", tensors, None);
        let found: Vec<_> = found.iter().map(|(token, vectors)| (token.as_str(), *vectors)).collect();
        assert_eq!(found, expected, "{tensors:?}");
        if let [(_, vectors)] = expected {
            let given = tokens("my-style.safetensors", tensors, Some("<given>"));
            assert_eq!(given, [("<given>".to_owned(), *vectors)], "{tensors:?}");
        }
    }
}

#[test]
fn a_token_chooses_among_several() {
    let two: [Stored<'_>; 2] = [("<a>", &[4]), ("<b>", &[2, 4])];
    assert_eq!(tokens("x.safetensors", &two, Some("<b>")), [("<b>".to_owned(), 2)]);
    let error = open("x.safetensors", &two, Some("<c>")).unwrap_err().to_string();
    assert!(error.contains("has the embeddings '<a>', '<b>', and none for the token '<c>'"), "{error}");
}

#[test]
fn what_is_no_embedding_is_refused() {
    let error = |tensors: &[Stored<'_>]| open("x.safetensors", tensors, None).unwrap_err().to_string();
    assert!(error(&[("a.lora_down.weight", &[1])]).contains("is a LoRA; expected a textual inversion"));
    assert!(error(&[("<toy>", &[76, 1])]).contains("has the shape [76, 1]"));
    assert!(error(&[("emb_params", &[1, 1, 1])]).contains("has the shape [1, 1, 1]"));
    let later = "a textual inversion embedding for Stable Diffusion XL or 3";
    assert!(error(&[("clip_g", &[2, 8]), ("clip_l", &[2, 4])]).contains(later));
    assert!(error(&[("text_encoders_0", &[2, 4]), ("text_encoders_1", &[2, 8])]).contains(later));
    for beside in ["string_to_param.*", "emb_params"] {
        let error = error(&[(beside, &[2, 4]), ("other", &[4])]);
        assert!(error.contains("'other' beside its vectors"), "{error}");
    }
    assert!(error(&[("clip_l", &[2, 4]), ("clip_l_out", &[2, 4])]).contains("'clip_l_out' beside its vectors"));
    assert!(error(&[("proj.weight", &[2, 4])]).contains("no checkpoint of a known kind"));
}

#[test]
fn values_that_are_no_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let bytes = f32::NAN.to_le_bytes();
    let view = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
    fs::write(&path, safetensors::serialize([("<toy>", view)], None).unwrap()).unwrap();
    assert!(Embedding::open(path, None).unwrap_err().to_string().contains("it holds NaN"));
}

/// A file of torch.save, uncompressed, with one storage of the floats 1, 2, 3 ...
fn save(folder: &Path, file: &str, pickle: &[u8], floats: usize) -> PathBuf {
    let path = folder.join(file);
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let data: Vec<u8> = (1..=floats).flat_map(|value| (value as f32).to_le_bytes()).collect();
    for (name, bytes) in [("x/data.pkl", pickle), ("x/byteorder", b"little"), ("x/data/0", data.as_slice())] {
        archive.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut archive, bytes).unwrap();
    }
    archive.finish().unwrap();
    path
}

/// `torch.save(tensor)` of a `[2, 3]` tensor.
const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
                        X\x01\0\0\x000X\x03\0\0\0cpuK\x06tQK\0K\x02K\x03\x86K\x03K\x01\x86\x89NtR";

#[test]
fn a_bare_tensor_takes_the_token_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path(), "toy.pt", &[b"\x80\x02", TENSOR, b"."].concat(), 6);
    let found = Embedding::open(&path, Some("<toy>")).unwrap();
    assert_eq!((found[0].token.as_str(), &found[0].vectors[1]), ("<toy>", &vec![4.0, 5.0, 6.0]));
    let error = Embedding::open(&path, None).unwrap_err().to_string();
    assert!(error.contains("a tensor without a token; give one, as in"), "{error}");
}

/// `torch.save({"string_to_token": .., "string_to_param": embedder.string_to_param})` of the original trainer, whose parameters
/// are an `nn.ParameterDict` with one `nn.Parameter`.
#[test]
fn the_original_trainers_file_is_named_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let pickle: Vec<u8> = [
        b"\x80\x02}(X\x0f\0\0\0string_to_paramctorch.nn.modules.container\nParameterDict\n)\x81}(X\x08\0\0\0training\x88\
          X\x0b\0\0\0_parameters}X\x01\0\0\0*ctorch._utils\n_rebuild_parameter\n("
            .as_slice(),
        TENSOR,
        b"\x88NtRsX\x08\0\0\0_buffers}ubX\x04\0\0\0stepK\x05u.",
    ]
    .concat();
    let path = save(folder.path(), "cat-statue.pt", &pickle, 6);
    let found = Embedding::open(&path, None).unwrap();
    assert_eq!((found[0].token.as_str(), found[0].vectors.len()), ("cat-statue", 2));
    assert_eq!(found[0].vectors[0], [1.0, 2.0, 3.0]);
}

/// A picture of one pixel with AUTOMATIC1111's text: `embedding_to_b64` of `modules/textual_inversion/image_embedding.py`.
fn picture(folder: &Path, keyword: &str, json: &str) -> PathBuf {
    use base64::Engine;
    let path = folder.join("toy.png");
    let text = base64::engine::general_purpose::STANDARD.encode(json);
    ae_files::png_chunks::write(fs::File::create(&path).unwrap(), [1, 1], &[1, 2, 3], &[(keyword, text)]).unwrap();
    path
}

#[test]
fn a_picture_may_carry_an_embedding() {
    let folder = tempfile::tempdir().unwrap();
    let open = |keyword, json| Embedding::open(picture(folder.path(), keyword, json), None);
    let json = r#"{"string_to_token": {"*": 265}, "string_to_param": {"*": {"TORCHTENSOR": [[1.5, -2.0], [3, 4]]}},
                   "name": "toy-style", "step": 500, "sd_checkpoint": null, "sd_checkpoint_name": null}"#;
    let expected = Embedding { token: "toy-style".to_owned(), vectors: vec![vec![1.5, -2.0], vec![3.0, 4.0]] };
    assert_eq!(open("sd-ti-embedding", json).unwrap(), [expected]);
    let unnamed = open("sd-ti-embedding", r#"{"string_to_param": {"*": {"TORCHTENSOR": [1.0]}}}"#).unwrap();
    assert_eq!(unnamed, [Embedding { token: "toy".to_owned(), vectors: vec![vec![1.0]] }]);

    let error = |keyword, json| open(keyword, json).unwrap_err().to_string();
    assert!(error("parameters", json).contains("is a picture without the text 'sd-ti-embedding'"));
    for broken in [
        "{",
        "{}",
        r#"{"string_to_param": {"*": {"TORCHTENSOR": [[1], [1, 2]]}}}"#,
        r#"{"string_to_param": {"*": [["x"]]}}"#,
    ] {
        assert!(error("sd-ti-embedding", broken).contains("cannot read the embedding"), "{broken}");
    }
}
