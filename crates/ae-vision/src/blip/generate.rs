use ae_tensor::read;
use burn::tensor::Tensor;

use super::error::CaptionError;
use super::model::Blip;
use super::options::GenerationOptions;
use super::search::{BeamSearch, Progress};

impl Blip {
    /// Searches for a caption of each picture: `BlipForConditionalGeneration.generate` of transformers 5 without sampling,
    /// which ends captions with `sep_token_id`.
    ///
    /// Keys and values of the pictures and of earlier tokens are computed once; a picture whose caption is found is left
    /// out of the passes that follow.
    ///
    /// # Shapes
    /// - image_embeds: `[batch, positions, hidden_size]`, from [`Self::image_embeds`]
    /// - prompt: the ids that every caption begins with, of which the first is to be `bos_token_id`
    /// - output: `batch` captions with the prompt and, where one was found, the end token, but without padding
    ///
    /// # Errors
    ///
    /// Options that ask for the impossible, a device that failed, and logits that are no numbers.
    pub fn generate(
        &self,
        image_embeds: Tensor<3>,
        prompt: &[u32],
        options: &GenerationOptions,
    ) -> Result<Vec<Vec<u32>>, CaptionError> {
        let config = &self.config.text;
        options.check(prompt, config)?;
        let decoder = &self.networks.text_decoder;
        let pictures = image_embeds.dims()[0];
        let mut captions = vec![Vec::new(); pictures];
        if pictures == 0 {
            return Ok(captions);
        }
        let mut cache = decoder.cache(image_embeds);
        let mut logits = decoder.forward_last(&vec![prompt; pictures], &mut cache);
        let mut searches: Vec<(usize, BeamSearch)> =
            (0..pictures).map(|place| (place, BeamSearch::new(prompt.len(), config.sep_token_id, options))).collect();
        loop {
            let values = read(logits)?;
            let (mut rows, mut tokens, mut going_on, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
            let mut remaining = Vec::with_capacity(searches.len());
            for (index, (place, mut search)) in searches.into_iter().enumerate() {
                let count = search.rows();
                let shown = &values[first * config.vocab_size..(first + count) * config.vocab_size];
                match search.advance(shown).map_err(|_| CaptionError::NotFinite { picture: place })? {
                    Progress::Done(ids) => captions[place] = [prompt, &ids].concat(),
                    Progress::Continue(beams) => {
                        rows.extend(beams.iter().map(|(row, _)| first + row));
                        tokens.extend(beams.iter().map(|(_, token)| [*token]));
                        going_on.push(index);
                        remaining.push((place, search));
                    }
                }
                first += count;
            }
            searches = remaining;
            if searches.is_empty() {
                return Ok(captions);
            }
            cache.select(&rows, &going_on);
            logits = decoder.forward_last(&tokens, &mut cache);
        }
    }
}
