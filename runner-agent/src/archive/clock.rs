//! The times in a zip file.

use zip::DateTime;

const DAY: i64 = 86_400;

/// The time that old readers see: UTC, in steps of two seconds, from 1980 to 2107.
pub(super) fn dos_time(seconds: i64) -> DateTime {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let time = seconds.rem_euclid(DAY);
    let small = |value: i64| u8::try_from(value).ok();
    let made = || {
        let (hour, minute, second) = (small(time / 3600)?, small(time / 60 % 60)?, small(time % 60)?);
        DateTime::from_date_and_time(
            u16::try_from(year).ok()?,
            small(month)?,
            small(day)?,
            hour,
            minute,
            second,
        )
        .ok()
    };
    made().unwrap_or_default()
}

/// Seconds since 1970 of a time that was read as UTC.
pub(super) fn unix_time(time: DateTime) -> i64 {
    let (year, month, day) = (i64::from(time.year()), i64::from(time.month()), i64::from(time.day()));
    let clock = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    days(year, month, day) * DAY + clock
}

/// The date that is `days` after 1970-01-01. Years are counted from March, so that a leap day comes last.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The days from 1970-01-01 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_old_form() {
        for seconds in [315_532_800, 951_782_400, 951_868_800, 1_700_000_000, 1_709_164_800, 4_107_542_398] {
            assert_eq!(unix_time(dos_time(seconds)), seconds);
        }
        let leap = dos_time(1_709_164_800);
        assert_eq!((leap.year(), leap.month(), leap.day()), (2024, 2, 29));
    }

    #[test]
    fn times_that_do_not_fit_become_the_first() {
        for seconds in [0, -5, 9_999_999_999, i64::from(u32::MAX) * 2] {
            assert_eq!(dos_time(seconds).year(), 1980);
        }
    }
}
