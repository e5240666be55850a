//! Versions are texts, as their authors write them; this is how they are compared.

use std::cmp::Ordering;

/// Compares two versions number by number: `2` < `10`, `1.2` = `1.2.0`, and what is marked as coming before a release
/// (`5.4.0-beta.0`, `3.0.0-SNAPSHOT`) is older than the release. What follows a `+` does not count.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((a, a_before), (b, b_before)) = (split(a), split(b));
    compare_parts(a, b, "0").then_with(|| match (a_before, b_before) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_parts(a, b, ""),
    })
}

/// Whether the version is marked as coming before a release.
pub fn is_prerelease(version: &str) -> bool {
    split(version).1.is_some()
}

/// The release and what marks the version as coming before it.
fn split(version: &str) -> (&str, Option<&str>) {
    let version = version.split('+').next().unwrap_or(version);
    match version.split_once('-') {
        Some((release, before)) => (release, Some(before)),
        None => (version, None),
    }
}

fn compare_parts(a: &str, b: &str, missing: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (x, y) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => (x.unwrap_or(missing), y.unwrap_or(missing)),
        };
        let order = match (x.parse::<u64>(), y.parse::<u64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            // A number is older than a word, as semantic versioning has it; nothing at all is oldest.
            (Ok(_), Err(_)) if !y.is_empty() => Ordering::Less,
            (Err(_), Ok(_)) if !x.is_empty() => Ordering::Greater,
            _ => x.cmp(y),
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_and_a_release_is_newer_than_what_came_before_it() {
        let ordered = [
            "1",
            "2",
            "5.3.0",
            "5.4.0-alpha",
            "5.4.0-beta.0",
            "5.4.0-beta.2",
            "5.4.0-beta.10",
            "5.4.0",
            "5.10.0",
            "10",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        assert_eq!(compare("1.2", "1.2.0+build.7"), Ordering::Equal);
        assert!(is_prerelease("3.0.0-SNAPSHOT") && !is_prerelease("1.2.3+build-7"));
    }
}
