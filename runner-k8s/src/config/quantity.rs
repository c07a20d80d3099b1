//! Quantities of Kubernetes, such as `1500m` or `2Gi`, so that they can be compared.

/// How many of the smallest unit, a billionth, are in one.
const ONE: i128 = 1_000_000_000;

/// An amount, exact to a billionth; finer fractions are rounded up, as Kubernetes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(i128);

impl Amount {
    /// Reads a quantity that is not negative. `None`: the text is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number_ends = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let (number, suffix) = text.split_at(number_ends.unwrap_or(text.len()));
        let (numerator, divisor) = scale(suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let digits = format!("{whole}{fraction}").parse::<i128>().ok()?;
        let divisor = divisor.checked_mul(10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
        let total = digits.checked_mul(numerator)?.checked_mul(ONE)?;
        let up = i128::from(total % divisor != 0);
        Some(Self(total / divisor + up))
    }
}

/// What a suffix multiplies by, as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let decimal = |exponent: u32| Some((10_i128.checked_pow(exponent)?, 1));
    let binary = |exponent: u32| Some((1024_i128.checked_pow(exponent)?, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
            Some(if exponent < 0 { (1, power) } else { (power, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_compared_whatever_their_suffix() {
        let amount = |text: &str| Amount::parse(text).unwrap();
        assert_eq!(amount("1000m"), amount("1"));
        assert_eq!(amount("0.5"), amount("500m"));
        assert_eq!(amount("1e3"), amount("1k"));
        assert_eq!(amount("1Ki"), amount("1024"));
        assert!(amount("2Gi") > amount("2G"));
        assert!(amount("1500m") < amount("2"));
        assert!(amount("16Ei") > amount("1E"));
        assert!(amount("0.1n") > amount("0"));
        assert_eq!(amount(".5"), amount("0.50"));
        assert_eq!(amount("1."), amount("1"));
    }

    #[test]
    fn what_is_no_quantity_is_told_apart() {
        for wrong in ["", "m", "1gb", "1 Gi", "-1", "1,5", "1.2.3", "1e", "abc", "1e99", ".", "+"] {
            assert_eq!(Amount::parse(wrong), None, "{wrong}");
        }
    }
}
