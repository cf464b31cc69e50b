//! The `prompt` graph that ComfyUI writes into its pictures.
//!
//! A node has a class and inputs, and an input is a value or a link to the output of another node. [`read`] goes from the node that
//! saves back over the decoder, the sampler, the model and the texts; what is not on that way has not made the picture.
//!
//! The nodes and inputs are those of ComfyUI's `nodes.py`, the schedules those of `comfy/samplers.py` (version 0.3).

mod graph;
mod sampling;
mod text;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::a1111::{Reading, Unsupported};
use crate::{FileRef, LoraRef, Method, NoiseKind, Overrides, PredictionType, PromptSyntax};
use graph::{Graph, Node};
use text::Texts;

/// Reads the graph of a picture; none where the text is no graph.
///
/// ComfyUI draws its noise on the CPU. Nothing is an error here: what cannot be read, and what is missing, is in
/// [`Reading::unsupported`], under the class of its node.
pub fn read(text: &str) -> Option<Reading> {
    let value: Value = serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_nan(text))).ok()?;
    let nodes = value.as_object()?;
    let is_graph = nodes.values().any(|node| node.get("class_type").is_some_and(Value::is_string));
    is_graph.then(|| Reader::read(nodes))
}

/// JSON as Python writes it, with null for the numbers that JSON has not: `NaN` stands in `is_changed`.
fn without_nan(text: &str) -> String {
    let (mut json, mut rest) = (String::with_capacity(text.len()), text);
    let (mut is_text, mut is_escaped) = (false, false);
    while let Some(symbol) = rest.chars().next() {
        let number = ["NaN", "-Infinity", "Infinity"].into_iter().find(|name| !is_text && rest.starts_with(name));
        json.push_str(number.map_or(&rest[..symbol.len_utf8()], |_| "null"));
        rest = &rest[number.map_or(symbol.len_utf8(), str::len)..];
        is_text ^= symbol == '"' && !is_escaped;
        is_escaped = is_text && symbol == '\\' && !is_escaped;
    }
    json
}

struct Reader<'a> {
    graph: Graph<'a>,
    read: Overrides,
}

/// Nodes that save pictures.
const SAVES: [&str; 3] = ["SaveImage", "SaveImageWebsocket", "PreviewImage"];

impl<'a> Reader<'a> {
    fn read(nodes: &'a Map<String, Value>) -> Reading {
        let read = Overrides {
            method: Some(Method::StableDiffusion),
            rng: Some(NoiseKind::TorchCpu),
            clip_skip: Some(0),
            vae_tiling: Some(false),
            prompt_syntax: Some(PromptSyntax::Plain),
            ..Overrides::default()
        };
        let mut reader = Self { graph: Graph::new(nodes), read };
        if let Some(save) = reader.saving_node() {
            reader.picture(save);
        }
        Reading { overrides: reader.read, unsupported: reader.graph.unsupported }
    }

    /// The node that saved the picture: the first, if there are several.
    fn saving_node(&mut self) -> Option<Node<'a>> {
        let all = SAVES.iter().find_map(|class| Some(self.graph.of_class(class)).filter(|nodes| !nodes.is_empty()));
        let Some(all) = all else {
            self.graph.refuse("graph", "", "no node saves a picture", &[]);
            return None;
        };
        if all.len() > 1 {
            let ids: Vec<_> = all.iter().map(|node| node.id).collect();
            let reason =
                "the graph saves several pictures and does not say which one this is; ignored, it is the first";
            self.graph.refuse(all[0].class, &ids.join(", "), reason, &[]);
        }
        all.into_iter().next()
    }

    /// From the pixels to the sampler.
    fn picture(&mut self, save: Node<'a>) {
        let through = ["images", "image", "pixels"];
        let Some(decoder) = self.graph.follow(save, "images", &["VAEDecode"], &through) else { return };
        self.graph.check_inputs(decoder);
        if let Some(vae) = self.graph.follow(decoder, "vae", &["CheckpointLoaderSimple", "VAELoader"], &["vae"])
            && vae.class == "VAELoader"
        {
            self.graph.check_inputs(vae);
            self.read.vae = self.graph.text(vae, "vae_name", &["vae"]).as_deref().map(file);
        }
        let samplers = ["KSampler", "KSamplerAdvanced"];
        let through = ["samples", "latent_image", "latent"];
        if let Some(sampler) = self.graph.follow(decoder, "samples", &samplers, &through) {
            self.sampler(sampler);
        }
    }

    fn sampler(&mut self, sampler: Node<'a>) {
        self.graph.check_inputs(sampler);
        sampling::read(&mut self.graph, sampler, &mut self.read);
        let unet_loras = self.model(sampler);
        let [positive, negative] = ["positive", "negative"].map(|input| self.conditioning(sampler, input));
        let texts = [&positive, &negative].map(|found| found.as_ref().map_or("", |(text, _)| text.as_str()));
        Texts::read(texts, &mut self.graph, &mut self.read);
        // Both texts have one encoder in nearly every graph.
        let encoders = [positive, negative].map(|found| found.map(|(_, encoder)| encoder));
        if let [Some(one), Some(other)] = &encoders
            && one != other
        {
            let reason = "the two prompts are encoded by different encoders";
            self.graph.refuse("CLIPTextEncode clip", "", reason, &["clip_skip"]);
        }
        let encoder = encoders.into_iter().flatten().next().unwrap_or_default();
        self.read.clip_skip = Some(encoder.clip_skip);
        self.loras(&unet_loras, &encoder.loras);
        sampling::read_latents(&mut self.graph, sampler, &mut self.read);
    }

    /// The checkpoint of a sampler, and the LoRAs on the way to it: node, name, and strength.
    fn model(&mut self, sampler: Node<'a>) -> Vec<(&'a str, String, f64)> {
        const KNOWN: [&str; 4] =
            ["CheckpointLoaderSimple", "LoraLoader", "LoraLoaderModelOnly", "ModelSamplingDiscrete"];
        let mut loras = Vec::new();
        let (mut node, mut seen) = (sampler, BTreeSet::new());
        while let Some(next) = self.graph.follow(node, "model", &KNOWN, &["model"]) {
            node = next;
            if !self.graph.is_new(node, &mut seen) {
                break;
            }
            self.graph.check_inputs(node);
            match node.class {
                "LoraLoader" | "LoraLoaderModelOnly" => {
                    let name = self.graph.text(node, "lora_name", &["loras"]);
                    let strength = self.graph.number(node, "strength_model", &["loras"]);
                    loras.extend(name.zip(strength).map(|(name, strength)| (node.id, name, strength)));
                }
                "ModelSamplingDiscrete" => self.model_sampling(node),
                _ => {
                    if let Some(model) = self.graph.text(node, "ckpt_name", &["model"]).as_deref().map(file) {
                        self.read.model = Some(model.name.clone());
                        self.read.model_files = Some(vec![model]);
                    }
                    break;
                }
            }
        }
        loras.reverse();
        loras
    }

    fn model_sampling(&mut self, node: Node<'a>) {
        let prediction = self.graph.text(node, "sampling", &["prediction_type"]);
        match prediction.as_deref() {
            Some("eps") => self.read.prediction_type = Some(PredictionType::Epsilon),
            Some("v_prediction") => self.read.prediction_type = Some(PredictionType::VPrediction),
            Some("x0") => self.read.prediction_type = Some(PredictionType::Sample),
            Some(other) => {
                let reason = "it changes what the model predicts in a way that is not known";
                self.graph.refuse("ModelSamplingDiscrete sampling", other, reason, &["prediction_type"]);
            }
            None => {}
        }
        if self.graph.value(node, "zsnr") != Some(&Value::Bool(false)) {
            let reason = "the noise schedule was rescaled to a zero terminal SNR";
            self.graph.refuse("ModelSamplingDiscrete zsnr", "true", reason, &[]);
        }
    }

    /// The text of a conditioning, and the encoder that read it.
    fn conditioning(&mut self, sampler: Node<'a>, input: &str) -> Option<(String, Encoder<'a>)> {
        const KNOWN: [&str; 3] = ["CheckpointLoaderSimple", "LoraLoader", "CLIPSetLastLayer"];
        let through = ["conditioning", input, "conditioning_1", "conditioning_to"];
        let node = self.graph.follow(sampler, input, &["CLIPTextEncode"], &through)?;
        self.graph.check_inputs(node);
        let option: &[&str] = if input == "positive" { &["prompt"] } else { &["negative_prompt"] };
        let text = self.graph.text(node, "text", option)?;
        let mut encoder = Encoder::default();
        let (mut at, mut seen) = (node, BTreeSet::new());
        while let Some(next) = self.graph.follow(at, "clip", &KNOWN, &["clip"]) {
            at = next;
            if !self.graph.is_new(at, &mut seen) {
                break;
            }
            match at.class {
                "LoraLoader" => {
                    let strength = self.graph.number(at, "strength_clip", &["loras"]);
                    encoder.loras.extend(strength.map(|strength| (at.id, strength)));
                }
                "CLIPSetLastLayer" => {
                    self.graph.check_inputs(at);
                    let layer: Option<i64> = self.graph.number(at, "stop_at_clip_layer", &["clip_skip"]);
                    // -1 is the last layer. The first of several on the way counts.
                    let skipped = layer.and_then(|layer| usize::try_from(-layer - 1).ok());
                    encoder.clip_skip =
                        if encoder.clip_skip > 0 { encoder.clip_skip } else { skipped.unwrap_or_default() };
                }
                _ => break,
            }
        }
        Some((text, encoder))
    }

    /// The LoRAs, whose strengths for U-Net and text encoder must be the same.
    fn loras(&mut self, unet: &[(&'a str, String, f64)], text: &[(&'a str, f64)]) {
        let mut loras = Vec::new();
        for (id, name, strength) in unet {
            let of_text = text.iter().find(|(other, _)| other == id).map_or(0.0, |(_, strength)| *strength);
            if of_text.total_cmp(strength).is_ne() {
                let value = format!("{name}: {strength} and {of_text}");
                let reason = "a LoRA has one strength for U-Net and text encoder; ignored, it is that of the U-Net";
                self.graph.refuse("LoraLoader", &value, reason, &["loras"]);
            }
            loras.push(LoraRef::new(base_name(name), *strength));
        }
        for (id, _) in text.iter().filter(|(id, _)| unet.iter().all(|(other, ..)| other != id)) {
            let reason = "it acts on the text encoder alone";
            self.graph.refuse("LoraLoader", id, reason, &["loras"]);
        }
        self.read.loras = (!loras.is_empty()).then_some(loras);
    }
}

/// What read a text.
#[derive(Debug, Default, PartialEq)]
struct Encoder<'a> {
    clip_skip: usize,
    loras: Vec<(&'a str, f64)>,
}

/// A file by its name without the folders of ComfyUI.
fn file(name: &str) -> FileRef {
    FileRef::new(base_name(name))
}

fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// The value of an option that cannot be honoured.
fn unsupported(name: &str, value: &str, reason: impl Into<String>, options: &'static [&'static str]) -> Unsupported {
    Unsupported::new(name, value, reason).settled_by(options)
}

#[cfg(test)]
mod tests;
