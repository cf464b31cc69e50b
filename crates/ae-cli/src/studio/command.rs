use ae_server::GenerateRequest;

use crate::explanation::command_line;

/// The call of `ae generate` that draws one seed of a request.
pub(crate) fn command(request: &GenerateRequest, seed: u64, model: Option<&str>) -> String {
    let mut arguments = vec!["generate".to_owned()];
    // With `=`, so that a value may begin with a hyphen.
    let mut add = |option: &str, value: String| arguments.push(format!("--{option}={value}"));
    add("prompt", request.prompt.clone());
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let number = |number: usize| number.to_string();
    let guidance = &request.attend_and_excite;
    let list = |indices: &Vec<usize>| indices.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let thresholds = guidance.thresholds.as_ref().map(|thresholds| {
        let pairs: Vec<_> = thresholds.iter().map(|(step, threshold)| format!("{step}:{threshold}")).collect();
        if pairs.is_empty() { "none".to_owned() } else { pairs.join(",") }
    });
    let smooth = guidance.smoothing != Some(false);
    for (option, value) in [
        ("negative-prompt", text(&request.negative_prompt)),
        ("subjects", request.subjects.as_ref().map(|subjects| subjects.join(","))),
        ("token-indices", request.token_indices.as_ref().map(list)),
        ("seeds", Some(seed.to_string())),
        ("model", model.map(str::to_owned)),
        ("device", request.device.clone()),
        ("method", request.method.clone()),
        ("steps", request.steps.map(number)),
        ("guidance-scale", request.guidance_scale.map(|scale| scale.to_string())),
        ("height", request.height.map(number)),
        ("width", request.width.map(number)),
        ("scheduler", request.scheduler.clone()),
        ("rng", request.rng.clone()),
        ("clip-skip", Some(request.clip_skip).filter(|layers| *layers > 0).map(number)),
        ("max-iter-to-alter", guidance.max_iter_to_alter.map(number)),
        ("thresholds", thresholds),
        ("max-refinement-steps", guidance.max_refinement_steps.map(number)),
        ("scale-factor", guidance.scale_factor.map(|factor| factor.to_string())),
        ("scale-range", guidance.scale_range.map(|(from, to)| format!("{from},{to}"))),
        ("attention-scale", guidance.attention_scale.map(|scale| scale.to_string())),
        ("attention-res", guidance.attention_res.map(|[rows, cols]| format!("{rows}x{cols}"))),
        ("sigma", guidance.sigma.filter(|_| smooth).map(|sigma| sigma.to_string())),
        ("kernel-size", guidance.kernel_size.filter(|_| smooth).map(number)),
        ("eot-normalization", guidance.eot_normalization.clone()),
    ] {
        if let Some(value) = value {
            add(option, value);
        }
    }
    for (flag, is_set) in
        [("prompt-weighting", request.prompt_weighting), ("no-smoothing", !smooth), ("compare", request.compare)]
    {
        if is_set {
            arguments.push(format!("--{flag}"));
        }
    }
    command_line(arguments)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn the_command_line_takes_it_back() {
        let request: GenerateRequest = serde_json::from_value(serde_json::json!({
            "prompt": "-a cat's \"nap\" & a frog", "subjects": ["cat", "frog"], "steps": 7, "guidance_scale": 2.5,
            "compare": true, "prompt_weighting": true, "attend_and_excite": { "thresholds": {}, "scale_range": [1.0, 0.25],
            "attention_res": [8, 16], "smoothing": false, "sigma": 1.0 }
        }))
        .unwrap();
        let line = command(&request, 9, Some("my model"));
        let words = shlex::split(&line).unwrap();
        let Command::Generate(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
        assert_eq!(args.prompts.prompt, ["-a cat's \"nap\" & a frog"]);
        assert_eq!(args.prompts.model.as_deref(), Some("my model"));
        assert_eq!((args.seeds.0, args.sampling.steps, args.sampling.guidance_scale), (vec![9], Some(7), Some(2.5)));
        assert!(args.compare && args.prompts.prompt_weighting && args.guidance.no_smoothing);
        assert!(args.guidance.thresholds.0.is_empty());
        assert_eq!((args.guidance.scale_range.0, args.guidance.scale_range.1), (1.0, 0.25));
        assert_eq!(args.guidance.attention_res.map(|resolution| resolution.0), Some([8, 16]));
    }
}
