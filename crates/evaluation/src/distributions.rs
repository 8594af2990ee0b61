//! Tail probabilities of the distributions used by tests and intervals, in `f64`.

/// The relative precision at which a series or continued fraction stops.
const CLOSE: f64 = 1e-16;
/// The maximum number of terms; a few dozen are usual.
const TERMS: u32 = 10_000;

/// The probability that a normal variable is more than `z` standard deviations away from its mean, on either side.
///
/// It equals the upper tail of the chi-square distribution with one degree of freedom at `z²`.
pub(crate) fn normal_two_sided(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        // The series of the error function with terms of one sign (Abramowitz & Stegun 7.1.6).
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > CLOSE * sum {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        1.0 - 2.0 * scale * sum
    } else {
        // The continued fraction of the complement (7.1.14), evaluated backwards.
        let fraction = (1..=120)
            .rev()
            .fold(x, |below, n| x + f64::from(n) / 2.0 / below);
        scale / fraction
    }
}

/// The probability of at most `hits` heads in `tosses` of a fair coin.
pub(crate) fn fair_coin_at_most(hits: u64, tosses: u64) -> f64 {
    if hits >= tosses {
        return 1.0;
    }
    regularised_beta(0.5, (tosses - hits) as f64, hits as f64 + 1.0)
}

/// The quantile of Student's distribution for a two-sided `confidence` interval, in standard errors.
///
/// `degrees` of freedom must be at least 1, `confidence` between 0 and 1.
pub(crate) fn student_reach(confidence: f64, degrees: f64) -> f64 {
    let outside = |t: f64| regularised_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5);
    let tail = 1.0 - confidence;
    let mut high = 1.0;
    while outside(high) > tail && high < 1e300 {
        high *= 2.0;
    }
    let mut low = 0.0;
    // Bisects until `low` and `high` are neighbours: then their mean is one of them.
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        if outside(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The regularised incomplete beta function `I_x(a, b)`, the distribution function of the beta distribution.
fn regularised_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast below the mean; above it, use the symmetry.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularised_beta(1.0 - x, b, a);
    }
    let front = a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    front.exp() / a / beta_fraction(x, a, b)
}

/// The continued fraction 26.5.8 of Abramowitz & Stegun, evaluated forwards (Lentz 1976).
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut value, mut above, mut below) = (1.0_f64, 1.0_f64, 0.0_f64);
    for n in 1..=TERMS {
        let half = f64::from(n / 2);
        let numerator = if n % 2 == 0 {
            half * (b - half) * x / ((a + 2.0 * half - 1.0) * (a + 2.0 * half))
        } else {
            -(a + half) * (a + b + half) * x / ((a + 2.0 * half) * (a + 2.0 * half + 1.0))
        };
        above = away_from_zero(1.0 + numerator / above);
        below = 1.0 / away_from_zero(1.0 + numerator * below);
        let step = above * below;
        value *= step;
        if (step - 1.0).abs() < CLOSE {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for positive `x`: Stirling's series (Abramowitz & Stegun 6.1.41), exact to the
/// last digits from 15 on, after as many recurrence steps as needed.
fn ln_gamma(x: f64) -> f64 {
    // B(2n) / (2n (2n - 1))
    const SERIES: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
        -3617.0 / 122_400.0,
    ];
    let (mut x, mut product) = (x, 1.0);
    while x < 15.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = SERIES
        .iter()
        .rev()
        .fold(0.0, |sum, term| sum * inverse + term)
        / x;
    let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
    (x - 0.5) * x.ln() - x + half_ln_tau + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-10 * expected.abs(),
            "{found:e} instead of {expected:e}"
        );
    }

    #[test]
    fn tails_are_those_of_scipy() {
        // scipy.stats.chi2.sf(z * z, 1)
        close(normal_two_sided(0.0), 1.0);
        close(normal_two_sided(0.3), 0.7641771556220947);
        close(normal_two_sided(1.0), 0.31731050786291115);
        close(normal_two_sided(1.959963984540054), 0.04999999999999996);
        close(normal_two_sided(2.7), 0.006933947606081347);
        close(normal_two_sided(2.9), 0.0037316266007680794);
        close(normal_two_sided(4.5), 6.795346249460114e-06);
        close(normal_two_sided(12.0), 3.5529642241553834e-33);
        // scipy.stats.binom.cdf(hits, tosses, 0.5)
        close(fair_coin_at_most(0, 1), 0.5);
        close(fair_coin_at_most(0, 10), 0.0009765625);
        close(fair_coin_at_most(3, 10), 0.171875);
        close(fair_coin_at_most(5, 10), 0.623046875);
        close(fair_coin_at_most(9, 10), 0.9990234375);
        close(fair_coin_at_most(10, 10), 1.0);
        close(fair_coin_at_most(17, 60), 0.0005328828895717177);
        close(fair_coin_at_most(480, 1000), 0.10872414660207075);
        close(fair_coin_at_most(49700, 100000), 0.029098676555095182);
        // scipy.stats.t.ppf((1 + confidence) / 2, degrees)
        close(student_reach(0.95, 1.0), 12.706204736174694);
        close(student_reach(0.95, 2.0), 4.302652729749462);
        close(student_reach(0.9, 4.0), 2.1318467863266495);
        close(student_reach(0.95, 4.0), 2.7764451051977934);
        close(student_reach(0.99, 9.0), 3.249835541592126);
        close(student_reach(0.95, 30.0), 2.0422724563012378);
        close(student_reach(0.5, 3.0), 0.7648923284043444);
        close(student_reach(0.95, 1000.0), 1.9623390808264083);
    }
}
