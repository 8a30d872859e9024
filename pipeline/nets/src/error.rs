//! What can go wrong with a checkpoint, a picture or a device.

use std::path::PathBuf;

use thiserror::Error;

/// The crate's result.
pub type Result<T, E = NetsError> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate, named by what the caller can do about it.
///
/// [`NetsError::hint`] has one line of advice for a program to print under the message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetsError {
    /// A file could not be opened or read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A folder holds no weights under the name that was asked for.
    #[error("no weights in `{folder}`: looked for {tried}")]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// The file names that would have been taken.
        tried: String,
    },
    /// A weight file or its index is damaged.
    #[error("damaged weight file `{path}`: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor that the network needs is absent.
    #[error("tensor `{name}` of shape {expected:?} is missing from `{path}`{nearest}")]
    MissingTensor {
        /// The tensor's full name.
        name: String,
        /// The file, or the folder of a checkpoint in several files.
        path: PathBuf,
        /// The shape that was asked for.
        expected: Vec<usize>,
        /// ``; did you mean `…` `` or nothing.
        nearest: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{name}` in `{path}` has shape {found:?}, expected {expected:?}")]
    WrongShape {
        /// The tensor's full name.
        name: String,
        /// The file.
        path: PathBuf,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that is not a float of 16 or 32 bits.
    #[error("tensor `{name}` in `{path}` is stored as `{found}`, expected f16, bf16 or f32")]
    WrongType {
        /// The tensor's full name.
        name: String,
        /// The file.
        path: PathBuf,
        /// The type in the file.
        found: String,
    },
    /// The checkpoint holds tensors that the network did not take.
    #[error("{count} tensors in `{path}` belong to no layer of the network: {names}")]
    UnusedTensors {
        /// The file or folder.
        path: PathBuf,
        /// How many there are.
        count: usize,
        /// The first of them.
        names: String,
    },
    /// A configuration file cannot be used.
    #[error("{} in `{path}`: {message}", field_or_document(.field))]
    Config {
        /// The file.
        path: PathBuf,
        /// The field as `outer.inner`; empty when the document as a whole is meant.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The tokenizer's files cannot be used.
    #[error("tokenizer in `{path}`: {message}")]
    Tokenizer {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The bytes are not a picture that can be decoded.
    #[error("not a usable picture: {message}")]
    Image {
        /// What is wrong with it.
        message: String,
    },
    /// The picture is larger than the limits allow.
    #[error("picture of {width}x{height} pixels is larger than the limit: {limit}")]
    ImageTooLarge {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// The limit that it breaks.
        limit: String,
    },
    /// A network was given a tensor or an option that it cannot take.
    #[error("{message}")]
    Input {
        /// What is wrong with it.
        message: String,
    },
    /// The device that was asked for is not there.
    #[error("device `{name}`: {message}")]
    Device {
        /// The device as the user wrote it.
        name: String,
        /// Why it cannot be used.
        message: String,
    },
}

fn field_or_document(field: &str) -> String {
    match field {
        "" => "bad document".to_owned(),
        field => format!("bad field `{field}`"),
    }
}

impl NetsError {
    /// One line of advice, where there is one to give.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoWeights { .. } => Some(
                "the folder must hold safetensors as published; `.bin`, `.pth` and `.ckpt` files are converted by `glassctl models convert FOLDER`",
            ),
            Self::Damaged { .. } => {
                Some("the download was probably cut off: fetch the file again and compare its sha256")
            }
            Self::MissingTensor { .. } | Self::WrongShape { .. } | Self::UnusedTensors { .. } => {
                Some("the weights and the `config.json` beside them must come from the same checkpoint")
            }
            Self::WrongType { .. } => Some("quantised checkpoints cannot be read: use the f16, bf16 or f32 files"),
            Self::Config { .. } => Some("compare the file with the one published with the weights"),
            Self::Tokenizer { .. } => Some(
                "the folder must hold `tokenizer.json` (`AutoTokenizer.from_pretrained(…).save_pretrained(…)` writes it), or `vocab.json` with `merges.txt` for OPT, or `vocab.txt` for BLIP",
            ),
            Self::ImageTooLarge { .. } => Some("scale the picture down before it enters the pipeline"),
            Self::Device { .. } => Some("`flex` runs on every processor; GPUs need a build with `--features cuda`"),
            Self::Read { .. } | Self::Image { .. } | Self::Input { .. } => None,
        }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input { message: message.into() }
    }
}
