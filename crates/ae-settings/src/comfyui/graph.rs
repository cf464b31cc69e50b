//! The nodes of a graph, and the links between them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::unsupported;
use crate::a1111::Unsupported;

/// A node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) id: &'a str,
    pub(super) class: &'a str,
    inputs: &'a Map<String, Value>,
}

/// The inputs of the nodes that are understood: each is read, or has no effect on the pixels.
pub(super) const INPUTS: [(&str, &[&str]); 12] = [
    (
        "KSampler",
        &[
            "model",
            "seed",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
            "positive",
            "negative",
            "latent_image",
            "denoise",
        ],
    ),
    (
        "KSamplerAdvanced",
        &[
            "model",
            "add_noise",
            "noise_seed",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
            "positive",
            "negative",
            "latent_image",
            "start_at_step",
            "end_at_step",
            "return_with_leftover_noise",
        ],
    ),
    ("CheckpointLoaderSimple", &["ckpt_name"]),
    ("VAELoader", &["vae_name"]),
    ("LoraLoader", &["model", "clip", "lora_name", "strength_model", "strength_clip"]),
    ("LoraLoaderModelOnly", &["model", "lora_name", "strength_model"]),
    ("ModelSamplingDiscrete", &["model", "sampling", "zsnr"]),
    ("CLIPTextEncode", &["text", "clip"]),
    ("CLIPSetLastLayer", &["clip", "stop_at_clip_layer"]),
    ("VAEDecode", &["samples", "vae"]),
    ("EmptyLatentImage", &["width", "height", "batch_size"]),
    ("VAEEncode", &["pixels", "vae"]),
];

/// What ComfyUI's front end adds to inputs.
const OF_THE_PAGE: [&str; 4] = ["speak_and_recognation", "control_after_generate", "choose file to upload", "upload"];

pub(super) struct Graph<'a> {
    nodes: &'a Map<String, Value>,
    pub(super) unsupported: Vec<Unsupported>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(nodes: &'a Map<String, Value>) -> Self {
        Self { nodes, unsupported: Vec::new() }
    }

    /// Notes what cannot be honoured, once.
    pub(super) fn refuse(
        &mut self,
        name: &str,
        value: &str,
        reason: impl Into<String>,
        options: &'static [&'static str],
    ) {
        let new = unsupported(name, value, reason, options);
        if !self.unsupported.contains(&new) {
            self.unsupported.push(new);
        }
    }

    /// The nodes of a class, by their numbers.
    pub(super) fn of_class(&self, class: &str) -> Vec<Node<'a>> {
        let nodes = self.nodes.keys().filter_map(|id| self.node(id));
        let mut nodes: Vec<_> = nodes.filter(|node| node.class == class).collect();
        nodes.sort_by_key(|node| (node.id.parse().unwrap_or(u64::MAX), node.id));
        nodes
    }

    fn node(&self, id: &str) -> Option<Node<'a>> {
        let (id, node) = self.nodes.get_key_value(id)?;
        Some(Node { id, class: node.get("class_type")?.as_str()?, inputs: node.get("inputs")?.as_object()? })
    }

    /// The number of the node that a value links to.
    fn link(value: &Value) -> Option<&str> {
        match value.as_array()?.as_slice() {
            [Value::String(id), Value::Number(_)] => Some(id),
            _ => None,
        }
    }

    /// Whether a node on the way was not there before, and the way is not too long; otherwise that is noted.
    pub(super) fn is_new(&mut self, node: Node<'a>, seen: &mut BTreeSet<&'a str>) -> bool {
        /// Far beyond what a person draws.
        const LONGEST: usize = 1000;
        let is_new = seen.insert(node.id) && seen.len() <= LONGEST;
        if !is_new {
            self.refuse("graph", node.id, "the links go round in a circle, or on and on", &[]);
        }
        is_new
    }

    /// The node of one of the `known` classes that an input comes from. The nodes between are named, and followed by the inputs that
    /// `through` names.
    pub(super) fn follow(&mut self, from: Node<'a>, input: &str, known: &[&str], through: &[&str]) -> Option<Node<'a>> {
        let (mut seen, mut at) = (BTreeSet::from([from.id]), from);
        let mut link = from.inputs.get(input).and_then(Self::link);
        loop {
            let Some(id) = link else {
                let reason = format!("nothing is linked to it that leads to {}", known.join(" or "));
                self.refuse(&format!("{} {input}", at.class), "", reason, &[]);
                return None;
            };
            let Some(node) = self.node(id) else {
                self.refuse("graph", id, "this node is missing, or has no class and inputs", &[]);
                return None;
            };
            if !self.is_new(node, &mut seen) {
                return None;
            }
            if known.contains(&node.class) {
                return Some(node);
            }
            self.refuse(
                node.class,
                &format!("node {id}"),
                "this node changes the picture in a way that is not known",
                &[],
            );
            link = through.iter().find_map(|input| Self::link(node.inputs.get(*input)?));
            at = node;
        }
    }

    /// Names the inputs of a node that are not known.
    pub(super) fn check_inputs(&mut self, node: Node<'a>) {
        let known = INPUTS.iter().find(|(class, _)| *class == node.class).map_or(&[][..], |(_, inputs)| inputs);
        for (name, value) in node.inputs {
            if !known.contains(&name.as_str()) && !OF_THE_PAGE.contains(&name.as_str()) {
                self.refuse(&format!("{} {name}", node.class), &value.to_string(), "this input is not known", &[]);
            }
        }
    }

    /// The value of an input, also of a node that holds nothing but a value.
    pub(super) fn value(&mut self, node: Node<'a>, input: &str) -> Option<&'a Value> {
        let value = node.inputs.get(input)?;
        let Some(id) = Self::link(value) else { return Some(value) };
        let source = self.node(id)?;
        if source.class.starts_with("Primitive") {
            return source.inputs.get("value").filter(|value| !value.is_array());
        }
        None
    }

    /// The text of an input, which the `options` replace where it cannot be read.
    pub(super) fn text(&mut self, node: Node<'a>, input: &str, options: &'static [&'static str]) -> Option<String> {
        let text = self.value(node, input).and_then(Value::as_str).map(str::to_owned);
        self.expect(node, input, text, "a text", options)
    }

    /// The same of a number; a whole one may be written as `20.0`.
    pub(super) fn number<T: serde::de::DeserializeOwned>(
        &mut self,
        node: Node<'a>,
        input: &str,
        options: &'static [&'static str],
    ) -> Option<T> {
        let value = self.value(node, input).filter(|value| value.is_number());
        let whole = |value: &Value| Some(Value::from(format!("{}", value.as_f64()?).parse::<i64>().ok()?));
        let number = value.and_then(|value| {
            let read = serde_json::from_value(value.clone()).ok();
            read.or_else(|| serde_json::from_value(whole(value)?).ok())
        });
        self.expect(node, input, number, "a number", options)
    }

    fn expect<T>(
        &mut self,
        node: Node<'a>,
        input: &str,
        found: Option<T>,
        expected: &str,
        options: &'static [&'static str],
    ) -> Option<T> {
        if found.is_none() {
            let name = format!("{} {input}", node.class);
            match node.inputs.get(input) {
                None => self.refuse(&name, "", "it is missing", options),
                Some(value) => match Self::link(value).map(|id| (id, self.node(id))) {
                    Some((_, Some(source))) if !source.class.starts_with("Primitive") => {
                        let reason = format!("the value comes from {}, which is not known", source.class);
                        self.refuse(&name, &value.to_string(), reason, options);
                    }
                    Some((id, None)) => {
                        self.refuse(&name, id, "this node is missing, or has no class and inputs", options);
                    }
                    _ => self.refuse(&name, &value.to_string(), format!("expected {expected}"), options),
                },
            }
        }
        found
    }
}
