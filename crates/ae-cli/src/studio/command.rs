use ae_server::GenerateRequest;

use crate::explanation::command_line;

/// The call of `ae generate` that draws one seed of a request.
pub(crate) fn command(request: &GenerateRequest, seed: u64, model: Option<&str>) -> String {
    let mut given = request.overrides.clone();
    given.model = model.map(str::to_owned);
    // The command line takes neither a kernel for what is not smoothed nor a strength without an initial image.
    if given.attend_and_excite.smoothing == Some(false) {
        (given.attend_and_excite.sigma, given.attend_and_excite.kernel_size) = (None, None);
    }
    given.strength = given.strength.filter(|_| given.init_image.is_some());
    let mut arguments = vec!["generate".to_owned()];
    arguments.extend(given.arguments());
    arguments.extend(["--seeds".to_owned(), seed.to_string()]);
    if let Some(device) = &request.device {
        arguments.extend(["--device".to_owned(), device.clone()]);
    }
    if request.has_plain() {
        arguments.push("--compare".to_owned());
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
        let request = GenerateRequest::from_json(serde_json::json!({
            "format": 2, "version": "0.1.0", "device": "cpu",
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
