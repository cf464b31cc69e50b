use burn::tensor::{Int, Tensor, TensorData};

/// What attention needs of the states attended to.
///
/// # Shapes
/// - both: `[batch, sequence, hidden_size]`
#[derive(Clone, Debug)]
pub(super) struct KeysAndValues {
    pub(super) keys: Tensor<3>,
    pub(super) values: Tensor<3>,
}

impl KeysAndValues {
    fn map(self, change: impl Fn(Tensor<3>) -> Tensor<3>) -> Self {
        Self { keys: change(self.keys), values: change(self.values) }
    }

    fn then(self, next: Self) -> Self {
        let join = |before, after| Tensor::cat(vec![before, after], 1);
        Self { keys: join(self.keys, next.keys), values: join(self.values, next.values) }
    }
}

/// The pictures that captions are written of, and the tokens written so far, as a layer sees them.
#[derive(Clone, Debug)]
pub(super) struct LayerCache {
    pictures: KeysAndValues,
    tokens: Option<KeysAndValues>,
}

impl LayerCache {
    pub(super) fn pictures(&self) -> &KeysAndValues {
        &self.pictures
    }

    /// Adds tokens and returns all.
    pub(super) fn append(&mut self, next: KeysAndValues) -> &KeysAndValues {
        let tokens = match self.tokens.take() {
            Some(tokens) => tokens.then(next),
            None => next,
        };
        self.tokens.insert(tokens)
    }
}

/// The keys and values of the pictures and of the tokens so far, in every layer.
#[derive(Clone, Debug)]
pub(in crate::blip) struct DecoderCache {
    layers: Vec<LayerCache>,
    length: usize,
}

impl DecoderCache {
    pub(super) fn new(pictures: Vec<KeysAndValues>) -> Self {
        let layers = pictures.into_iter().map(|pictures| LayerCache { pictures, tokens: None }).collect();
        Self { layers, length: 0 }
    }

    /// The number of tokens so far.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The layers, to each of which as many tokens are about to be added.
    pub(super) fn extend_by(&mut self, tokens: usize) -> impl Iterator<Item = &mut LayerCache> {
        self.length += tokens;
        self.layers.iter_mut()
    }

    /// Goes on with some rows of the tokens, each once, several times or not at all, and with some of the pictures.
    pub(in crate::blip) fn select(&mut self, rows: &[usize], pictures: &[usize]) {
        for layer in &mut self.layers {
            layer.tokens = layer.tokens.take().map(|tokens| tokens.map(|states| selected(states, rows)));
            let there = layer.pictures.clone();
            layer.pictures = there.map(|states| selected(states, pictures));
        }
    }
}

/// Some rows, without a copy where they are all.
fn selected(states: Tensor<3>, rows: &[usize]) -> Tensor<3> {
    if rows.iter().copied().eq(0..states.dims()[0]) {
        return states;
    }
    let indices: Vec<i32> = rows.iter().map(|row| i32::try_from(*row).expect("few rows")).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &states.device());
    states.select(0, indices)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn states(rows: [f32; 3]) -> KeysAndValues {
        let tensor = Tensor::<1>::from_floats(rows, &Device::flex()).reshape([3, 1, 1]);
        KeysAndValues { keys: tensor.clone(), values: -tensor }
    }

    fn values(states: &KeysAndValues) -> [Vec<f32>; 2] {
        [&states.keys, &states.values].map(|tensor| tensor.clone().into_data().iter::<f32>().collect())
    }

    #[test]
    fn rows_and_pictures_are_chosen_apart() {
        let mut cache = DecoderCache::new(vec![states([7.0, 8.0, 9.0])]);
        for rows in [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]] {
            cache.extend_by(1).for_each(|layer| assert!(layer.append(states(rows)).keys.dims()[1] > 0));
        }
        cache.select(&[2, 0, 0, 1], &[0, 2]);
        assert_eq!(cache.length(), 2);
        let [keys, negated] = values(cache.layers[0].tokens.as_ref().unwrap());
        assert_eq!(keys, [3.0, 6.0, 1.0, 4.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(negated, keys.iter().map(|key| -key).collect::<Vec<_>>());
        assert_eq!(values(cache.layers[0].pictures()), [vec![7.0, 9.0], vec![-7.0, -9.0]]);
    }
}
