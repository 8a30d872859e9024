//! A folder with the program, and stand-ins of the programs that it starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use glass_dataset::Dataset;
use glass_schemas::dataset::{AttentionRow, MaskRow, Row};
use glass_schemas::ids::{DatasetKind, ShardIndex};
use glass_schemas::spec::RunSpec;

use super::datasets::{Part, captioned, drawn_from, mask_of, open, planned, write as write_shard};
use super::program::{Outcome, write};
use super::weights;

/// Shards of every dataset that is prepared.
const SHARDS: u32 = 2;

/// Puts what was prepared for this program into the store that it is told, tells what a stage tells in
/// the end, and prints the answer to the last of its words that it has one for.
const STAND_IN: &str = r#"#!/bin/sh
here=$(dirname "$0")
name=$(basename "$0")
answer=/dev/null
for argument in "$@"; do
    case "$last" in
        --store) store=$argument ;;
        --into) into=$argument ;;
    esac
    [ -f "$here/answers/$name $argument" ] && answer="$here/answers/$name $argument"
    last=$argument
done
case "$*" in *--list*) lists=yes ;; esac
if [ -d "$here/prepared/$name" ] && [ ! "$lists" ]; then
    mkdir -p "${into:-$store}"
    cp -r "$here/prepared/$name/." "${into:-$store}/"
fi
case "$*" in
    # Without capture.
    *cross_resolutions=\[\]*) computing=2 memory=450000000 ;;
    *) computing=3 memory=500000000 ;;
esac
echo "{\"message\":\"ended\",\"loading_seconds\":1.5,\"computing_seconds\":$computing,\"computed\":4,\"peak_memory\":$memory}" >&2
cat "$answer"
exit $(cat "$here/$name.code" 2>/dev/null || echo 0)
"#;

/// A run spec whose weights are there.
const SPEC: &str = r#"
version = 1
name = "small"
[source]
uri = "images"
rows_per_shard = 4
[captioner]
weights = "weights"
[generator]
weights = "weights"
[trainer.encoder]
weights = "weights"
[trainer.diffusion]
weights = "weights"
"#;

/// The folder; commands run in it.
pub struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    /// The program, and a program of each other name that does nothing.
    pub fn new() -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        // A link would be followed to where the real programs are.
        std::fs::copy(env!("CARGO_BIN_EXE_glassctl"), workshop.path("glassctl")).unwrap();
        for name in ["captioner", "sd-generator", "attention-mask-extractor", "trainer"] {
            workshop.program(name, "#!/bin/sh\nexit 0\n");
        }
        workshop
    }

    /// With `run.toml`, and stand-ins whose stages make its datasets: of two shards of four images, the
    /// captioner puts one image each aside.
    pub async fn of_a_small_run() -> (Self, [Dataset; 4]) {
        let workshop = Self::new();
        workshop.put("run.toml", SPEC);
        workshop.put("weights/model.safetensors", weights("w", 3_000_000));
        let prepared = workshop.prepare(&workshop.spec(&[])).await;
        (workshop, prepared)
    }

    /// `run.toml` with changes.
    pub fn spec(&self, set: &[&str]) -> RunSpec {
        let set: Vec<String> = set.iter().map(|&change| change.to_owned()).collect();
        RunSpec::load_with(&self.path("run.toml"), &set).unwrap()
    }

    /// Makes stand-ins of the stages that make the datasets of a spec.
    pub async fn prepare(&self, spec: &RunSpec) -> [Dataset; 4] {
        for name in ["captioner", "sd-generator", "attention-mask-extractor", "trainer"] {
            self.program(name, STAND_IN);
        }
        let begin = |program: &'static str, kind: DatasetKind, upstream: Option<Dataset>| {
            let store = self.prepared(program);
            let part = Part { kind, stage: program, run_seed: spec.seed, spec: spec.identity_of(kind), shards: SHARDS };
            async move { planned(&open(&store), part, upstream.as_ref()).await }
        };
        let captions = begin("captioner", DatasetKind::Captions, None).await;
        let drawn = |kind| begin("sd-generator", kind, Some(captions.clone()));
        let (generations, attention) = (drawn(DatasetKind::Generations).await, drawn(DatasetKind::Attention).await);
        let masks = begin("attention-mask-extractor", DatasetKind::Masks, Some(attention.clone())).await;
        for shard in (0..SHARDS).map(ShardIndex) {
            let (rows, failed) = captioned(shard, "a red bus");
            let drawings: Vec<_> = rows.iter().map(drawn_from).collect();
            let maps: Vec<AttentionRow> = drawings.iter().map(watched).collect();
            let labels: Vec<MaskRow> = drawings.iter().map(|row| mask_of(row, 3)).collect();
            write_shard(&captions, shard, &rows, &failed).await;
            write_shard(&generations, shard, &drawings, &[]).await;
            write_shard(&attention, shard, &maps, &[]).await;
            write_shard(&masks, shard, &labels, &[]).await;
        }
        let made = [captions, generations, attention, masks];
        for dataset in &made {
            dataset.finish().await.unwrap().unwrap();
        }
        made
    }

    /// The store that a stand-in copies from.
    pub fn prepared(&self, program: &str) -> PathBuf {
        let folder = self.path("prepared").join(program);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// What a stand-in prints when this is among its words.
    pub fn answers(&self, program: &str, word: &str, text: &str) {
        self.put(&format!("answers/{program} {word}"), text);
    }

    /// The exit code of a stand-in.
    pub fn ends_with(&self, program: &str, code: i32) {
        self.put(&format!("{program}.code"), code.to_string());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn put(&self, name: &str, contents: impl AsRef<[u8]>) {
        write(&self.path(name), contents);
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a shell script under the name of a program.
    pub fn program(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.put(name, text);
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `glassctl …` in the folder.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(self.path("glassctl"));
        command.args(arguments).current_dir(self.root());
        // Under cargo the programs would be built first.
        Outcome::of(command.env_remove("CARGO").env_remove("RUST_LOG"))
    }

    /// `glassctl VERB --spec run.toml --store store …`.
    pub fn on_run(&self, verb: &[&str], flags: &[&str]) -> Outcome {
        self.run(&[verb, &["--spec", "run.toml", "--store", "store"], flags].concat())
    }
}

fn watched(drawing: &glass_schemas::dataset::GenerationRow) -> AttentionRow {
    AttentionRow {
        sample_id: drawing.sample_id,
        caption: drawing.caption.clone(),
        width: drawing.width,
        height: drawing.height,
        classes: drawing.classes.clone(),
        maps: Vec::new(),
    }
}

/// Replaces a shard of a prepared dataset.
pub async fn rewrite<R: Row>(dataset: &Dataset, folder: &Path, shard: ShardIndex, rows: &[R]) {
    let commit = folder.join(dataset.id().path()).join(format!("commits/{:05}.json", shard.0));
    std::fs::remove_file(commit).unwrap();
    write_shard(dataset, shard, rows, &[]).await;
}
