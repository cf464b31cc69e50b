/// Asserts that every element is within `relative` of the expected or within `absolute`, and that the
/// whole is within `relative` in the Euclidean norm: a tensor of small numbers does not pass by the
/// absolute bound alone.
///
/// # Panics
///
/// With the name, the place and the values of the worst element, if not.
pub fn assert_close(name: &str, actual: &[f32], expected: &[f32], relative: f32, absolute: f32) {
    assert_eq!(actual.len(), expected.len(), "{name}: number of elements");
    assert!(expected.iter().any(|value| *value != 0.0), "{name}: the fixture is all zero");
    let excess = |(a, e): (&f32, &f32)| {
        let excess = (a - e).abs() - (relative * e.abs()).max(absolute);
        if excess.is_nan() { f32::INFINITY } else { excess }
    };
    let (index, worst) = actual
        .iter()
        .zip(expected)
        .map(excess)
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("at least one element");
    assert!(worst <= 0.0, "{name}: element {index} is {}, expected {}", actual[index], expected[index]);
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let difference = norm(&mut actual.iter().zip(expected).map(|(a, e)| a - e));
    let size = norm(&mut expected.iter().copied());
    assert!(difference <= f64::from(relative) * size, "{name}: off by {difference:.3e} of {size:.3e} in norm");
}

/// The Euclidean norm of the difference as a share of the norm expected.
pub fn relative_difference(actual: &[f32], expected: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    norm(&mut actual.iter().zip(expected).map(|(a, e)| a - e)) / norm(&mut expected.iter().copied())
}

/// The largest difference of two pictures of the same size, in 255ths.
///
/// # Panics
///
/// When their sizes differ.
pub fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len(), "pictures of different size");
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}
