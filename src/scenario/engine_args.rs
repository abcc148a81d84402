//! The command line of a serving container: `--k=v` and `--k v`, `-` and `_` alike, as vLLM and KServe's runtimes accept.

use crate::scenario::known_args::{SECOND_NAMES, SHORT};
use crate::units::{Diagnostic, Located};

/// Flags of a serving container, the last of equals winning, and the positional model of `vllm serve MODEL`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct EngineArgs {
    flags: Vec<(String, Located<String>)>,
    positional_model: Option<Located<String>>,
    /// Whether another program than vLLM is started, as far as the command says.
    is_other: bool,
}

impl EngineArgs {
    /// Reads command and arguments in order. A shell's `-c "vllm serve ..."` is split at white space.
    pub fn read(args: &[Located<String>]) -> Self {
        let words = split_shell(args);
        let mut read = EngineArgs { is_other: is_other_program(&words), ..EngineArgs::default() };
        let mut index = 0;
        while index < words.len() {
            let word = &words[index];
            index += 1;
            if let Some((name, inline)) = flag(&word.value) {
                let next = words.get(index).filter(|next| flag(&next.value).is_none());
                let value = match (inline, next) {
                    (Some(value), _) => Located::new(value, word.span.clone()),
                    (None, Some(next)) => {
                        index += 1;
                        next.clone()
                    }
                    (None, None) => Located::new(String::new(), word.span.clone()),
                };
                read.flags.push((name, value));
            } else if word.value == "serve"
                && let Some(next) = words.get(index).filter(|next| !next.value.starts_with('-'))
            {
                read.positional_model = Some(next.clone());
                index += 1;
            }
        }
        read
    }

    /// A flag that the platform puts on the command line; one that is written goes before it.
    pub fn imply(&mut self, name: &str, value: Located<String>) {
        self.flags.insert(0, (name.to_owned(), value));
    }

    /// The value of the flag `name` (spelled with `-`).
    pub fn get(&self, name: &str) -> Option<&Located<String>> {
        self.flags.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Whether the flag is there, with a value or without.
    pub fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(own, _)| own.split('.').next() == Some(name))
    }

    /// Flags that were written for the server, in order; none where another program is started.
    pub fn of_the_server(&self) -> impl Iterator<Item = (&str, &Located<String>)> {
        self.flags.iter().filter(|_| !self.is_other).map(|(name, value)| (name.as_str(), value))
    }

    /// Model id: `--model_id`, `--model`, or the positional of `vllm serve`.
    pub fn model_id(&self) -> Option<&Located<String>> {
        self.get("model-id").or_else(|| self.get("model")).or(self.positional_model.as_ref())
    }

    /// Served name: `--served-model-name` (its first), `--model_name`.
    pub fn served_name(&self) -> Option<Located<String>> {
        let given = self.get("served-model-name").or_else(|| self.get("model-name"))?;
        let first = given.value.split(',').next().unwrap_or_default().trim().to_owned();
        (!first.is_empty()).then(|| Located::new(first, given.span.clone()))
    }

    /// A whole number, with vLLM's suffixes (`8k` = 8000, `8K` = 8192). `-1` and `auto` count as absent.
    pub fn number(&self, name: &str) -> Result<Option<Located<u32>>, Diagnostic> {
        let Some(given) = self.get(name) else { return Ok(None) };
        let text = given.value.as_str();
        if text == "-1" || text == "auto" {
            return Ok(None);
        }
        let (digits, factor) = match text.char_indices().last() {
            Some((at, 'k')) => (&text[..at], 1_000),
            Some((at, 'K')) => (&text[..at], 1_024),
            Some((at, 'm')) => (&text[..at], 1_000_000),
            Some((at, 'M')) => (&text[..at], 1_048_576),
            _ => (text, 1),
        };
        let value = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor)).filter(|value| *value > 0);
        match value {
            Some(value) => Ok(Some(Located::new(value, given.span.clone()))),
            None => {
                let message = format!("found {text:?} for --{name}, expected a whole number above zero");
                let help = "write the number, or give the value in the Scenario's replica section";
                Err(Diagnostic::error(given.span.clone(), "args", message).help(help))
            }
        }
    }
}

/// Name (spelled with `-`) and value of a word that is a flag: `--k`, `--k=v`, `-tp`, `-tp=2`, `-O3`.
fn flag(word: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (word, None),
    };
    if let Some(name) = name.strip_prefix("--") {
        // vLLM takes `_` for `-` in names, not in the keys of a JSON argument after the dot.
        let (whole, part) = name.split_once('.').map_or((name, None), |(whole, part)| (whole, Some(part)));
        let whole = whole.replace('_', "-");
        let first = SECOND_NAMES.iter().find(|(second, _)| *second == whole).map(|(_, first)| (*first).to_owned());
        let whole = first.unwrap_or(whole);
        let name = part.map_or_else(|| whole.clone(), |part| format!("{whole}.{part}"));
        // The `--` that ends a shell's options.
        return (!name.is_empty()).then_some((name, value));
    }
    if let Some(level) = name.strip_prefix("-O").filter(|level| !level.is_empty() && value.is_none()) {
        return Some(("compilation-config".to_owned(), Some(level.to_owned())));
    }
    SHORT.iter().find(|(short, _)| *short == name).map(|(_, name)| ((*name).to_owned(), value))
}

/// Whether the words start with a program (not with a flag) and none of them speaks of vLLM.
fn is_other_program(words: &[Located<String>]) -> bool {
    let starts = words.first().is_some_and(|first| !first.value.starts_with('-'));
    let is_own = |word: &Located<String>| {
        word.value == "serve" || word.value.contains("vllm") || word.value.contains("huggingfaceserver")
    };
    starts && !words.iter().any(is_own)
}

fn split_shell(args: &[Located<String>]) -> Vec<Located<String>> {
    let mut words = Vec::with_capacity(args.len());
    let mut script = false;
    for arg in args {
        if script || (arg.value.contains("vllm serve") && arg.value.contains(char::is_whitespace)) {
            let parts = arg.value.split_whitespace().filter(|part| *part != "\\");
            words.extend(parts.map(|part| Located::new(part.trim_matches(['"', '\'']).to_owned(), arg.span.clone())));
        } else {
            words.push(arg.clone());
        }
        script = matches!(arg.value.as_str(), "-c" | "-lc" | "-ec");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    fn args(words: &[&str]) -> EngineArgs {
        let located: Vec<Located<String>> =
            words.iter().map(|word| Located::new((*word).to_owned(), Span::new("t", 1, 1))).collect();
        EngineArgs::read(&located)
    }

    #[test]
    fn both_spellings_of_a_flag_are_one() {
        for words in [["--max_model_len=512", ""], ["--max-model-len", "512"], ["--max-model-len=512", ""]] {
            let read = args(&words).number("max-model-len").expect("a number");
            assert_eq!(read.map(|value| value.value), Some(512), "{words:?}");
        }
    }

    #[test]
    fn the_model_of_vllm_serve_is_found_in_a_shell_line_too() {
        for words in [
            vec!["vllm", "serve", "org/m", "--max-num-seqs", "4"],
            vec!["sh", "-c", "vllm serve org/m --max-num-seqs 4"],
        ] {
            let read = args(&words);
            assert_eq!(read.model_id().map(|id| id.value.as_str()), Some("org/m"), "{words:?}");
            assert_eq!(read.number("max-num-seqs").expect("a number").map(|n| n.value), Some(4), "{words:?}");
        }
    }

    #[test]
    fn numbers_carry_vllms_suffixes_and_refuse_variables() {
        let number = |text: &str| args(&["--max-model-len", text]).number("max-model-len");
        assert_eq!(number("8k").expect("a number").map(|n| n.value), Some(8_000));
        assert_eq!(number("8K").expect("a number").map(|n| n.value), Some(8_192));
        assert_eq!(number("auto"), Ok(None));
        assert!(number("$(LEN)").is_err());
        assert!(number("0").is_err());
    }

    #[test]
    fn short_forms_are_the_flags_that_they_stand_for() {
        for words in [vec!["-tp", "2"], vec!["-tp=2"], vec!["--enforce-eager", "-tp", "2"], vec!["-tp=4", "-tp=2"]] {
            let read = args(&words).number("tensor-parallel-size").expect("a number");
            assert_eq!(read.map(|value| value.value), Some(2), "{words:?}");
        }
        let read = args(&["--device-memory-utilization=0.5"]);
        assert_eq!(read.get("gpu-memory-utilization").map(|value| value.value.as_str()), Some("0.5"));
        let read = args(&["sh", "-c", "exec vllm serve org/m -O3 -q fp8 -ep -- --x.a_b=1"]);
        assert_eq!(read.get("quantization").map(|value| value.value.as_str()), Some("fp8"));
        assert_eq!(read.get("compilation-config").map(|value| value.value.as_str()), Some("3"));
        assert!(read.has("enable-expert-parallel") && read.has("x") && !read.has("c"));
    }

    #[test]
    fn flags_of_another_program_are_not_the_servers() {
        let names = |words: &[&str]| args(words).of_the_server().count();
        assert_eq!(names(&["--model=m", "--max-num-seqs=4"]), 2);
        assert_eq!(names(&["python3", "-m", "vllm.entrypoints.openai.api_server", "--model=m"]), 1);
        assert_eq!(names(&["python3", "-m", "sglang.launch_server", "--model-path", "m"]), 0);
    }

    #[test]
    fn a_flag_without_value_does_not_swallow_the_next_flag() {
        let read = args(&["--enforce-eager", "--served-model-name", "a,b"]);
        assert_eq!(read.get("enforce-eager").map(|value| value.value.as_str()), Some(""));
        assert_eq!(read.served_name().map(|name| name.value), Some("a".to_owned()));
    }
}
