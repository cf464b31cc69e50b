//! Prompts as the text encoder reads them: in parts, each with the texts that it has from step to step.

use ae_clip::{ClipTokenizer, TokenizedPrompt, WeightedPrompt};
use ae_settings::a1111::{composed_parts, prompt_schedule, take_networks, without_comments};
use ae_settings::{LongPrompts, Method, PromptSyntax, SchedulerKind, Settings};

use crate::composition::{MOST_PARTS, halves_of};
use crate::{PipelineError, prompt_parts};

/// A part of a prompt, for which the noise is predicted by itself. Most prompts have one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReadPart {
    /// How much it counts, in units of the guidance scale.
    pub weight: f64,
    /// The different texts that it has, in the order in which they come, all of the same number of tokens; mostly there is one.
    pub texts: Vec<WeightedPrompt>,
    /// The last evaluation of the model with each of its texts, and the index of the text.
    schedule: Vec<(usize, usize)>,
}

impl ReadPart {
    fn new(
        tokenizer: &ClipTokenizer,
        settings: &Settings,
        text: &str,
        weight: f64,
        evaluations: usize,
    ) -> Result<Self, PipelineError> {
        let weighting = settings.prompt_syntax == PromptSyntax::A1111;
        let entries =
            if weighting { prompt_schedule(text, evaluations)? } else { vec![(evaluations, text.to_owned())] };
        let (mut texts, mut schedule) = (Vec::<String>::new(), Vec::with_capacity(entries.len()));
        for (end, text) in entries {
            let index = texts.iter().position(|known| *known == text).unwrap_or(texts.len());
            if index == texts.len() {
                texts.push(text);
            }
            schedule.push((end, index));
        }
        let texts = match settings.way_with_long_prompts() {
            LongPrompts::Cut => {
                texts.iter().map(|text| tokenizer.tokenize_with(text, weighting)).collect::<Result<_, _>>()?
            }
            LongPrompts::Chunks | LongPrompts::Padded => tokenizer.tokenize_in_chunks(&texts, weighting)?,
        };
        Ok(Self { weight, texts, schedule })
    }

    /// The index of the text at an evaluation of the model, counted from 0.
    ///
    /// As in AUTOMATIC1111's program (`reconstruct_multicond_batch`), which counts evaluations from 0 and the ends of texts from 1: the
    /// first text of a schedule is there for one evaluation more than the number in the prompt says.
    pub fn at(&self, evaluation: usize) -> usize {
        self.schedule.iter().find(|(end, _)| evaluation <= *end).map_or(0, |(_, text)| *text)
    }

    /// How often each text is among the entries of the schedule.
    pub(crate) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.texts.len()];
        self.schedule.iter().for_each(|(_, text)| counts[*text] += 1);
        counts
    }

    /// Every text with the first evaluation that has it, counted from 0.
    pub fn first_evaluations(&self) -> Vec<usize> {
        let mut firsts = vec![None; self.texts.len()];
        let mut start = 0;
        for (end, text) in &self.schedule {
            firsts[*text] = firsts[*text].or(Some(start));
            start = end + 1;
        }
        firsts.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Its only text, or the first one.
    pub fn first(&self) -> &WeightedPrompt {
        &self.texts[0]
    }

    /// Its texts without their weights.
    pub fn tokenized(&self) -> Vec<&TokenizedPrompt> {
        self.texts.iter().map(|text| &text.prompt).collect()
    }
}

/// The prompt of settings, in its parts, in a run with so many evaluations of the model.
///
/// Under the syntax `plain` a prompt is one text; under `a1111` comments are left out, and `AND`, `[from:to:when]`, `[a|b]`, `BREAK` and
/// weights have their meaning. For Composable Diffusion a prompt without `AND` is split as [`prompt_parts`] says.
///
/// # Errors
///
/// Texts that the tokenizer cannot take, more parts than can be drawn, changes without end, and networks in angle brackets, which must be
/// taken out before ([`take_networks`]).
pub fn read_prompt(
    tokenizer: &ClipTokenizer,
    settings: &Settings,
    evaluations: usize,
) -> Result<Vec<ReadPart>, PipelineError> {
    let is_composed = settings.method == Method::ComposableDiffusion;
    let prompt = settings.prompt.as_str();
    let parts = match settings.prompt_syntax {
        PromptSyntax::Plain if is_composed => {
            prompt_parts(prompt)?.into_iter().map(|part| (part.text, part.weight)).collect()
        }
        PromptSyntax::Plain => vec![(prompt.to_owned(), 1.0)],
        PromptSyntax::A1111 => {
            let prompt = without_comments(prompt);
            let networks = take_networks(&prompt);
            if networks.prompt != prompt {
                return Err(PipelineError::Networks { prompt: prompt.chars().take(60).collect() });
            }
            match &composed_parts(&prompt)?[..] {
                [(text, _)] if is_composed => halves_of(text),
                parts => parts.to_vec(),
            }
        }
    };
    if parts.len() > MOST_PARTS {
        let reason = format!("it has {} parts: expected at most {MOST_PARTS}", parts.len());
        return Err(PipelineError::Composition { prompt: prompt.chars().take(60).collect(), reason });
    }
    parts.iter().map(|(text, weight)| ReadPart::new(tokenizer, settings, text, *weight, evaluations)).collect()
}

/// The negative prompt of settings, as [`read_prompt`] reads a prompt of one part. `AND` and networks are text in it, as in
/// AUTOMATIC1111's program.
///
/// # Errors
///
/// As [`read_prompt`].
pub fn read_negative_prompt(
    tokenizer: &ClipTokenizer,
    settings: &Settings,
    evaluations: usize,
) -> Result<ReadPart, PipelineError> {
    let text = match settings.prompt_syntax {
        PromptSyntax::Plain => settings.negative_prompt.as_str().into(),
        PromptSyntax::A1111 => without_comments(&settings.negative_prompt),
    };
    ReadPart::new(tokenizer, settings, &text, 1.0, evaluations)
}

/// How often a sampler evaluates the model in a step. AUTOMATIC1111's program counts evaluations where a prompt changes.
pub(crate) fn evaluations_per_step(kind: SchedulerKind) -> usize {
    match kind {
        SchedulerKind::Heun | SchedulerKind::Kdpm2 | SchedulerKind::Kdpm2Ancestral => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(prompt: &str) -> Settings {
        let mut settings = Settings::default();
        settings.prompt_syntax = PromptSyntax::A1111;
        settings.prompt = prompt.to_owned();
        settings
    }

    fn read(settings: &Settings) -> Result<Vec<ReadPart>, String> {
        read_prompt(&ClipTokenizer::stable_diffusion_1(), settings, 10).map_err(|error| error.to_string())
    }

    fn texts(part: &ReadPart) -> Vec<&str> {
        part.texts.iter().map(|text| text.prompt.text()).collect()
    }

    /// `current_step <= entry.end_at_step` for the steps 0, 1, 2, ...
    #[test]
    fn the_text_of_an_evaluation_is_that_of_the_reference() {
        let at = |prompt: &str| -> Vec<usize> {
            let parts = read(&settings(prompt)).unwrap();
            (0..10).map(|evaluation| parts[0].at(evaluation)).collect()
        };
        assert_eq!(at("a cat"), [0; 10]);
        assert_eq!(at("[cat:dog:3]"), [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(at("[cat:dog:0.5]"), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(at("[cat:dog:0]"), [0; 10]);
        assert_eq!(at("[cat|dog]"), [0, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
        let part = read(&settings("a [cat|dog|cat]")).unwrap().remove(0);
        assert_eq!((texts(&part), part.counts()), (vec!["a cat", "a dog"], vec![7, 3]));
        assert_eq!(part.first_evaluations(), [0, 2]);
    }

    #[test]
    fn parts_have_their_weights_and_their_own_schedules() {
        let parts = read(&settings("a (cat:1.5) :0.8 AND a [dog:hat:2] # and more\nAND x:-1")).unwrap();
        let found: Vec<_> = parts.iter().map(|part| (part.weight, texts(part))).collect();
        assert_eq!(found, [(0.8, vec!["a cat"]), (1.0, vec![" a dog", " a hat"]), (-1.0, vec![" x"])]);
        assert!((parts[0].first().weights[2] - 1.5).abs() < f32::EPSILON);
        // Alone, the word separates two empty parts.
        assert_eq!(read(&settings("AND")).unwrap().len(), 2);
        assert_eq!(read(&settings("")).unwrap().len(), 1);
    }

    #[test]
    fn a_plain_prompt_is_one_text() {
        let mut settings = settings("a cat AND a [dog:hat:2] BREAK (x:2) # y");
        settings.prompt_syntax = PromptSyntax::Plain;
        let parts = read(&settings).unwrap();
        assert_eq!((parts.len(), texts(&parts[0])), (1, vec![settings.prompt.as_str()]));
        assert_eq!(parts[0].first().weights, [1.0; 77]);
    }

    #[test]
    fn the_texts_of_a_part_are_of_one_length() {
        let parts = read(&settings(&format!("[cat:dog {}:3] AND x", "a ".repeat(80)))).unwrap();
        let lengths: Vec<_> = parts[0].texts.iter().map(|text| text.prompt.tokens().len()).collect();
        assert_eq!((lengths, parts[1].first().prompt.tokens().len()), (vec![154, 154], 77));
        let mut cut = settings(&"a ".repeat(80));
        cut.long_prompts = Some(LongPrompts::Cut);
        let parts = read(&cut).unwrap();
        assert_eq!(parts[0].first().prompt.truncation().unwrap().tokens, 5);
    }

    #[test]
    fn composable_diffusion_splits_as_the_syntax_does() {
        let of = |prompt: &str, syntax| {
            let mut settings = settings(prompt);
            (settings.method, settings.prompt_syntax) = (Method::ComposableDiffusion, syntax);
            let parts = read(&settings).unwrap();
            parts
                .iter()
                .flat_map(|part| texts(part).into_iter().map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        for syntax in [PromptSyntax::Plain, PromptSyntax::A1111] {
            assert_eq!(of("a cat and a dog", syntax), ["a cat", "a dog"]);
        }
        assert_eq!(of("a cat | a dog", PromptSyntax::Plain), ["a cat", "a dog"]);
        assert_eq!(of("a [cat|dog] AND a hat", PromptSyntax::A1111), ["a cat", "a dog", " a hat"]);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let refusal = |prompt: &str| read(&settings(prompt)).unwrap_err();
        assert!(refusal("a cat <lora:ink:1>").starts_with("the prompt 'a cat <lora:ink:1>' names networks"));
        assert!(refusal("<hypernet:x:1>").contains("names networks"));
        assert!(refusal(&"a AND ".repeat(40)).ends_with("it has 41 parts: expected at most 32"));
        assert!(refusal("a (cat:1.2.3)").starts_with("'1.2.3' is no weight"));
        let huge = refusal(&"a cat ".repeat(2_000_000));
        assert!(huge.starts_with("the prompt has 11999999 bytes; at most 65536 are accepted"), "{huge}");
        // Nothing is within.
        assert!(read(&settings(&"([".repeat(10_000))).is_ok());
    }

    #[test]
    fn and_and_networks_are_text_in_a_negative_prompt() {
        let mut settings = settings("");
        settings.negative_prompt = "a AND [b|c] <lora:d:1>".to_owned();
        let part = read_negative_prompt(&ClipTokenizer::stable_diffusion_1(), &settings, 10).unwrap();
        assert_eq!(texts(&part), ["a AND b <lora:d:1>", "a AND c <lora:d:1>"]);
    }
}
