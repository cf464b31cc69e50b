//! A checkpoint of small tensors with arbitrary names and shapes: the key maps of single files and LoRAs.
#![no_main]

mod uses;

use ae_checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

/// What names are made of, so that the fuzzer does not have to find the words.
const PARTS: [&str; 40] = [
    "model.diffusion_model.",
    "first_stage_model.",
    "cond_stage_model.transformer.text_model.",
    "cond_stage_model.model.",
    "input_blocks.",
    "output_blocks.",
    "middle_block.",
    "time_embed.",
    "out.",
    "0.",
    "1.",
    "2.",
    "3.",
    "11.",
    "in_layers.",
    "out_layers.",
    "skip_connection.",
    "op.",
    "conv.",
    "weight",
    "bias",
    "encoder.",
    "decoder.",
    "down.",
    "up.",
    "block.",
    "mid.",
    "attn_1.",
    "q.",
    "transformer.resblocks.",
    "attn.in_proj_weight",
    "token_embedding.weight",
    "positional_embedding",
    "lora_unet_",
    "lora_te_",
    "lora_down.",
    "lora_up.",
    "lora_mid.",
    "alpha",
    "transformer_blocks.0.attn2.to_k.",
];

fuzz_target!(|data: &[u8]| {
    let mut header = String::from("{");
    let mut size = 0;
    // Each tensor: two numbers for the shape, then parts of a name up to a zero.
    let mut names = std::collections::BTreeSet::new();
    for entry in data.split(|byte| *byte == 0) {
        let [a, b, parts @ ..] = entry else { continue };
        let name: String = parts.iter().map(|part| PARTS[*part as usize % PARTS.len()]).collect();
        let shape = [usize::from(a % 5), usize::from(b % 5)];
        let bytes = shape[0] * shape[1] * 2;
        if names.insert(name.clone()) {
            let comma = if names.len() > 1 { "," } else { "" };
            let end = size + bytes;
            header +=
                &format!("{comma}\"{name}\":{{\"dtype\":\"F16\",\"shape\":{shape:?},\"data_offsets\":[{size},{end}]}}");
            size = end;
        }
    }
    header.push('}');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + size, 0x3c);
    let checkpoint = Checkpoint::from_bytes("fuzz", file.into()).expect("a whole file");
    uses::use_everything(&checkpoint);
});
