//! The rules of `kedasim lint`: the catalogue against its page, good policies, silencing, `--fix`, and the formats for
//! machines. (What upstream says to manifests: tests/lint.rs.)

mod case;
mod catalogue;
mod fix;
mod formats;
mod suppress;
