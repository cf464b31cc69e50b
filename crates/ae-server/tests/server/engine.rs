use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use ae_figures::{Step, Subject, Term, Token, TokenMaps};
use ae_server::{
    Adapter, Adapters, Device, Drawn, Engine, EngineError, GenerateRequest, Model, PromptToken, Tokens, TokensRequest,
    Transfer, Update, Word,
};
use ae_settings::{Method, Overrides, Settings};
use serde_json::json;

/// Paints one colour, in steps of two milliseconds. Prompts make it fail: "fail" returns an error with a path, "panic" panics, "refuse"
/// is refused before it is queued, and "stuck" looks up from its first step only after half a minute.
pub(crate) struct Painter;

impl Engine for Painter {
    fn models(&self) -> Vec<Model> {
        let named = |id: &str, title: &str| Model { id: id.to_owned(), title: title.to_owned(), ..Model::default() };
        let here = Model { loaded: true, ..named("paint", "Paint 1") };
        let remote = |id| Model { remote: true, bytes: Some(100), ..named(id, "Far") };
        vec![here, remote("far"), remote("broken"), remote("endless")]
    }

    fn adapters(&self) -> Result<Adapters, EngineError> {
        let file = |name: &str| vec![Adapter { name: name.to_owned(), bytes: 7, usual: false }];
        Ok(Adapters { loras: file("ink.safetensors"), embeddings: file("toy.pt"), vaes: file("ft") })
    }

    /// "far" arrives, "broken" does not, and "endless" goes on until it is ended.
    fn download(
        &self,
        model: &str,
        observe: &mut (dyn FnMut(&Transfer) -> ControlFlow<()> + Send),
    ) -> Result<(), EngineError> {
        let mut transfer = Transfer { total: 100, doing: "paint.bin".to_owned(), ..Transfer::default() };
        while transfer.bytes < 100 || model == "endless" {
            transfer.bytes = (transfer.bytes + 10).min(100);
            if observe(&transfer).is_break() {
                return Err(EngineError::Interrupted);
            }
            thread::sleep(Duration::from_millis(2));
        }
        if model == "broken" { Err(EngineError::Failed("the lorry broke down".to_owned())) } else { Ok(()) }
    }

    fn devices(&self) -> Vec<Device> {
        vec![Device { id: "cpu".to_owned(), title: "CPU".to_owned() }]
    }

    fn tokens(&self, request: &TokensRequest) -> Result<Tokens, EngineError> {
        let tokens = request.prompt.split_whitespace().enumerate().map(|(index, word)| PromptToken {
            index: index + 1,
            text: word.to_owned(),
            kind: "text".to_owned(),
            word: Some(index),
        });
        let words = request.prompt.split_whitespace().enumerate().map(|(index, word)| Word {
            text: word.to_owned(),
            subject: word.to_owned(),
            positions: vec![index + 1],
            automatic: true,
        });
        Ok(Tokens { tokens: tokens.collect(), words: words.collect(), ..Tokens::default() })
    }

    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        let found = [&request.images.init_image, &request.images.mask];
        let named = [&request.overrides.init_image, &request.overrides.mask];
        assert_eq!(
            found.map(|path| path.as_ref().map(|path| path.is_file())),
            named.map(|name| name.as_ref().map(|_| true))
        );
        if let Some(model) =
            request.overrides.model.as_ref().filter(|model| !["paint", "Paint 1"].contains(&model.as_str()))
        {
            return Err(EngineError::refused("model", format!("there is no model '{model}'")));
        }
        match request.prompt() {
            "nounless" if request.method() == Method::AttendAndExcite => {
                Err(EngineError::refused("subjects", "the prompt has no noun: name subjects"))
            }
            "refuse" => Err(EngineError::refused("prompt", "this prompt is refused")),
            _ => Ok(()),
        }
    }

    fn draw(
        &self,
        request: &GenerateRequest,
        seed: u64,
        observe: &mut (dyn FnMut(Update<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Drawn, EngineError> {
        assert!(request.prompt() != "panic", "as asked for");
        assert_eq!(request.images.init_image.is_some(), request.overrides.init_image.is_some());
        if request.prompt() == "fail" {
            return Err(EngineError::Failed(
                "cannot read '/home/ann/my models/paint.json': the paint is dry".to_owned(),
            ));
        }
        let num_steps = request.overrides.steps.unwrap_or(5);
        let token = Token { index: 1, text: "paint".to_owned(), kind: "text".to_owned(), subject: Some(0) };
        let subject = Subject { text: "paint".to_owned(), positions: vec![1] };
        let terms = Term::per_subject(std::slice::from_ref(&subject));
        let methods = [request.method(), Method::StableDiffusion];
        for method in &methods[..=usize::from(request.has_plain())] {
            let start = Update::Started {
                method: *method,
                num_steps,
                tokens: std::slice::from_ref(&token),
                subjects: std::slice::from_ref(&subject),
                notes: &["nothing of it has an effect".to_owned()],
                terms: &terms,
            };
            let mut go_on = observe(start);
            for step in 0..num_steps {
                if go_on.is_break() {
                    return Err(EngineError::Interrupted);
                }
                thread::sleep(if request.prompt() == "stuck" {
                    Duration::from_secs(30)
                } else {
                    Duration::from_millis(2)
                });
                let maps = Some(TokenMaps::new(1, 1, vec![1], vec![0.5]));
                let step = Step {
                    step,
                    num_steps,
                    timestep: 1.0,
                    seconds: 0.002,
                    guidance: None,
                    maps,
                    preview: Some(image::RgbImage::new(1, 1)),
                };
                go_on = observe(Update::Loss { step: step.step, iteration: 0, losses: &[0.5] });
                if go_on.is_continue() {
                    go_on = observe(Update::Step(&step));
                }
            }
        }
        let own = json!({ "model": "Paint 1", "device": "cpu", "seed": seed, "steps": num_steps });
        let settings = Settings::combine([&request.overrides, &Overrides::from_json(&own).unwrap()]);
        let settings = settings.map_err(|error| EngineError::Failed(error.to_string()))?.to_json();
        let picture = png(&serde_json::to_string(&settings).unwrap());
        let runs: Vec<_> = ae_server::PICTURE_NAMES[..=usize::from(request.has_plain())]
            .iter()
            .map(|name| json!({ "method": "attend-and-excite", "picture": name, "steps": [] }))
            .collect();
        let record = json!({ "format": 1, "prompt": request.prompt(), "seed": seed, "command": "ae", "settings": settings,
            "tokens": [], "subjects": [], "palette": "", "runs": runs });
        Ok(Drawn {
            plain: request.has_plain().then(|| picture.clone()),
            picture,
            record,
            trace: json!({ "steps": [] }),
        })
    }
}

/// A picture of one pixel with a text chunk.
pub(crate) fn png(settings: &str) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_itxt_chunk("settings".to_owned(), settings.to_owned()).unwrap();
    encoder.write_header().unwrap().write_image_data(&[1, 2, 3]).unwrap();
    file
}
