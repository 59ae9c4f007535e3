//! Where two texts differ, line by line: the matching of Python's `difflib`, which upstream's differences are made by.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

/// Lines that are told before and behind a change.
const CONTEXT: usize = 3;
/// From how many lines on one that repeats itself in more than a hundredth of them is not looked for.
const MANY: usize = 200;
/// How many pairs of equal lines are looked at before the rest is told as changed: some milliseconds' worth.
const PAIRS_MAX: usize = 1_000_000;

/// Lines that both have, in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    old: usize,
    new: usize,
    length: usize,
}

/// How long the row of equal lines is that ends at each line of the new text: for a line of the old one, and the one before it.
/// Zero, but for the lines that were looked at last.
struct Rows {
    before: Vec<usize>,
    now: Vec<usize>,
}

/// What stands instead of what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    old: Range<usize>,
    new: Range<usize>,
}

/// The lines of the new text that differ from the old one, among the ones around them; nothing, where none differ.
pub(super) fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut out = String::new();
    for hunk in changes(&old, &new).chunk_by(|one, next| next.old.start - one.old.end <= 2 * CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let before = CONTEXT.min(first.old.start);
        let behind = CONTEXT.min(old.len() - last.old.end);
        let all = first.old.start - before..last.old.end + behind;
        let all_new = first.new.start - before..last.new.end + behind;
        let _ = writeln!(out, "@@ -{} +{} @@", told(&all), told(&all_new));
        let mut at = all.start;
        for change in hunk {
            push(&mut out, ' ', &old[at..change.old.start]);
            push(&mut out, '-', &old[change.old.clone()]);
            push(&mut out, '+', &new[change.new.clone()]);
            at = change.old.end;
        }
        push(&mut out, ' ', &old[at..all.end]);
    }
    out
}

fn push(out: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        out.push(sign);
        out.push_str(line);
        out.push('\n');
    }
}

/// A range of lines, counted from one; one without lines is said by the line before it.
fn told(lines: &Range<usize>) -> String {
    match lines.len() {
        1 => format!("{}", lines.start + 1),
        0 => format!("{},0", lines.start),
        length => format!("{},{length}", lines.start + 1),
    }
}

/// What lies between the lines that both have.
fn changes(old: &[&str], new: &[&str]) -> Vec<Change> {
    let mut found = Vec::new();
    let (mut from_old, mut from_new) = (0, 0);
    let end = Match { old: old.len(), new: new.len(), length: 0 };
    for both in matches(old, new).into_iter().chain([end]) {
        if both.old > from_old || both.new > from_new {
            found.push(Change { old: from_old..both.old, new: from_new..both.new });
        }
        (from_old, from_new) = (both.old + both.length, both.new + both.length);
    }
    found
}

/// The longest rows that both have, and those before and behind each.
fn matches(old: &[&str], new: &[&str]) -> Vec<Match> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, line) in new.iter().enumerate() {
        places.entry(line).or_default().push(at);
    }
    if new.len() >= MANY {
        places.retain(|_, at| at.len() <= new.len() / 100 + 1);
    }
    let mut pairs_left = PAIRS_MAX;
    let mut rows = Rows { before: vec![0; new.len() + 1], now: vec![0; new.len() + 1] };
    let mut found = Vec::new();
    let mut open = vec![(0..old.len(), 0..new.len())];
    while let Some((in_old, in_new)) = open.pop() {
        let longest = longest(old, new, (&in_old, &in_new), &places, (&mut rows, &mut pairs_left));
        let Match { old: at, new: at_new, length } = longest;
        if length == 0 {
            continue;
        }
        found.push(longest);
        let before = (in_old.start..at, in_new.start..at_new);
        let behind = (at + length..in_old.end, at_new + length..in_new.end);
        open.extend([before, behind].into_iter().filter(|(old, new)| !old.is_empty() && !new.is_empty()));
    }
    found.sort_unstable();
    found
}

/// The first of the longest rows of lines that both have within their ranges.
fn longest(
    old: &[&str],
    new: &[&str],
    (in_old, in_new): (&Range<usize>, &Range<usize>),
    places: &HashMap<&str, Vec<usize>>,
    (rows, pairs_left): (&mut Rows, &mut usize),
) -> Match {
    let mut best = Match { old: in_old.start, new: in_new.start, length: 0 };
    let mut last: &[usize] = &[];
    for at in in_old.clone() {
        let same = places.get(old[at]).map(Vec::as_slice).unwrap_or_default();
        *pairs_left = pairs_left.saturating_sub(same.len() + 1);
        if *pairs_left == 0 {
            return Match { length: 0, ..best };
        }
        for &at_new in same.iter().filter(|at_new| in_new.contains(at_new)) {
            let length = rows.before[at_new] + 1;
            rows.now[at_new + 1] = length;
            if length > best.length {
                best = Match { old: at + 1 - length, new: at_new + 1 - length, length };
            }
        }
        last.iter().for_each(|at_new| rows.before[at_new + 1] = 0);
        std::mem::swap(&mut rows.before, &mut rows.now);
        last = same;
    }
    last.iter().for_each(|at_new| rows.before[at_new + 1] = 0);
    // Lines that repeat themselves are not looked for, but belong to the row if they stand at its ends.
    while best.old > in_old.start && best.new > in_new.start && old[best.old - 1] == new[best.new - 1] {
        best = Match { old: best.old - 1, new: best.new - 1, length: best.length + 1 };
    }
    while best.old + best.length < in_old.end
        && best.new + best.length < in_new.end
        && old[best.old + best.length] == new[best.new + best.length]
    {
        best.length += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn what_is_equal_has_no_differences() {
        assert_eq!(diff("a\nb", "a\nb"), "");
    }

    #[test]
    fn a_change_is_told_with_three_lines_around_it() {
        assert_eq!(
            diff("1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\n3\n4\nfive\n6\n7\n8\n9"),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        );
        assert_eq!(diff("a", "b"), "@@ -1 +1 @@\n-a\n+b\n");
        assert_eq!(diff("a\nb", "a\nx\nb"), "@@ -1,2 +1,3 @@\n a\n+x\n b\n");
    }

    #[test]
    fn changes_that_lie_apart_are_told_apart() {
        let lines = |changed: &[usize]| -> String {
            let lines: Vec<String> =
                (0..30).map(|at| if changed.contains(&at) { "x".into() } else { format!("{at}") }).collect();
            lines.join("\n")
        };
        assert_eq!(diff(&lines(&[]), &lines(&[5, 12])).matches("@@ -").count(), 1);
        assert_eq!(diff(&lines(&[]), &lines(&[5, 13])).matches("@@ -").count(), 2);
    }

    #[test]
    fn lines_that_repeat_themselves_are_no_anchors_of_long_texts() {
        // Of 200 lines, three are enough to repeat: the row of them is not found, and what is around it is changed.
        let text = |name: &str| -> String {
            let mut lines: Vec<String> = (0..198).map(|at| format!("{name}{at}")).collect();
            lines.splice(100..100, ["r".into(), "r".into(), "r".into(), "r".into()]);
            lines.join("\n")
        };
        let told = diff(&text("a"), &text("b"));
        assert!(told.contains("\n-r\n") && told.contains("\n+r\n") && !told.contains("\n r\n"), "{told}");
    }

    #[test]
    fn texts_that_have_too_much_in_common_are_told_as_changed() {
        // Of 60,000 lines each stands there 600 times: too often to look at all of their places.
        let text = |first: usize| -> String {
            let lines: Vec<String> = (first..first + 60_000).map(|at| format!("{}", at % 100)).collect();
            lines.join("\n")
        };
        let told = diff(&text(0), &text(50));
        assert_eq!(told.lines().filter(|line| line.starts_with('-')).count(), 60_000);
    }
}
