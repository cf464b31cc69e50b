//! Settings as the arguments of a command line.

use serde_json::Value;

use crate::{Group, Overrides, all_options};

impl Overrides {
    /// The arguments of `ae generate` that give these values, in the order of the table.
    pub fn arguments(&self) -> Vec<String> {
        let mut all = self.to_json();
        // A command line takes neither a kernel for what is not smoothed nor a strength without an initial image, nor what
        // belongs to a mask without one.
        if self.init_image.is_none() {
            all.remove("strength");
        }
        if self.mask.is_none() {
            all.retain(|name, _| !name.starts_with("mask_"));
        }
        if let Some(Value::Object(group)) = all.get_mut("attend_and_excite")
            && self.attend_and_excite.smoothing == Some(false)
        {
            group.retain(|name, _| !["sigma", "kernel_size"].contains(&name.as_str()));
        }
        let value = |group: Option<&str>, name: &str| match group {
            Some(group) => all.get(group)?.get(name),
            None => all.get(name),
        };
        let options = all_options().filter(|(_, option)| option.group != Group::Record);
        let arguments = options.filter_map(|(group, option)| Some(option.arguments(value(group, option.name)?)));
        arguments.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_has_its_arguments() {
        let settings: Value = json!({
            "format": 2, "device": "cpu", "prompt": "a cat", "negative_prompt": "-a dog", "subjects": ["cat", "red car"], "steps": 30, "vae_tiling": true, "scheduler": "euler-a",
            "loras": [{ "name": "a.safetensors", "strength": 0.6 }, { "name": "b.safetensors", "strength": 1.0 }],
            "embeddings": [{ "name": "t.pt", "token": "<t>" }],
            "attend_and_excite": { "smoothing": false, "thresholds": { "0%": 0.05, "10": 0.5 }, "attention_res": [12, 20],
                "scale_range": [1.0, 0.5] },
        });
        let arguments = Overrides::from_json(&settings).unwrap().arguments().join(" ");
        assert_eq!(
            arguments,
            "--prompt a cat --negative-prompt=-a dog --subjects cat,red car --steps 30 --scheduler euler-a --vae-tiling --lora a.safetensors:0.6 \
             --lora b.safetensors:1.0 --embedding t.pt:<t> --thresholds 0%:0.05,10:0.5 --scale-range 1.0,0.5 \
             --attention-res 12x20 --no-smoothing"
        );
        let masked: Value = json!({ "strength": 0.5, "mask_blur": 2.0, "mask_padding": 32, "mask_invert": true, "mask_overlay": false });
        let with = |files: Value| {
            let mut all = masked.clone();
            all.as_object_mut().unwrap().extend(files.as_object().unwrap().clone());
            Overrides::from_json(&all).unwrap().arguments().join(" ")
        };
        assert_eq!(with(json!({})), "");
        let files = json!({ "init_image": { "name": "a.png" }, "mask": { "name": "m.png" } });
        assert_eq!(
            with(files),
            "--init-image a.png --strength 0.5 --mask m.png --mask-blur 2.0 --mask-padding 32 --mask-invert --no-mask-overlay"
        );
    }
}
