//! `glassctl benchmark`: what is trained in which order, what is reused, what the page says. The programs
//! are stand-ins, so that this is about the benchmark alone; `ci/checks/benchmark` runs the real ones.

use serde_json::{Value, json};

use crate::support::Outcome;
use crate::support::snapshot::check;
use crate::support::workshop::Workshop;

const SPEC: &str = r#"
version = 1
name = "test"
[benchmark]
methods = ["glass", "spot-student", "half"]
seeds = [3, 4]
steps = 70
batch = 5
[benchmark.changes]
half = ["method=glass", "trainer.loss.instance=0.5"]
"#;

/// What the stand-in of the trainer trains is written to `trained`; it learns more with a higher seed.
const TRAINER: &str = r#"#!/bin/sh
verb=$1
method= seed= teacher=none run= store= tables= flags=
for argument in "$@"; do
    case "$last" in
        --seed) seed=$argument ;;
        --run) run=$argument ;;
        --store) store=$argument ;;
        --set) case "$argument" in
            method=*) method=${argument#method=} ;;
            trainer.guidance.teacher=*) teacher=${argument#*=} ;;
            trainer.loss.instance=*) half=-half ;;
        esac ;;
    esac
    case "$argument" in --*) flags=yes ;; esac
    [ "$flags" ] || tables="$tables $argument"
    last=$argument
done
method=$(echo "$method" | tr -d '"')
teacher=$(echo "$teacher" | tr -d '"')
case $verb in
train)
    id=run-$method$half-$seed
    folder=$store/runs/$id
    [ -e "$store/broken-$method" ] && { echo "error: broken" >&2; exit 1; }
    if [ ! -e "$folder" ]; then
        echo "$method$half $seed $teacher" >> "$store/trained"
        mkdir -p "$folder/attempts"
        printf '{"step":1,"loss/total":2.0,"loss/none":0.0}\n{"step":2,"loss/total":1.0,"loss/none":0.0}\n' > "$folder/metrics.jsonl"
        for attempt in 1 2; do
            echo '{"from":0,"to":35,"processor_seconds":2.5,"wall_seconds":9,"preparing_seconds":1,"peak_memory":70000000}' > "$folder/attempts/$attempt.json"
        done
    fi
    echo "$id" ;;
evaluate)
    folder=runs/${run:-untrained}/eval/e
    mkdir -p "$store/$folder/samples"
    case $run in
        "") name=blocks value=0.25 ;;
        *-3) name="slots, attention masks" value=0.4 ;;
        *) name="slots, attention masks" value=0.6 ;;
    esac
    cat > "$store/$folder/results.json" <<END
{"eval_id":"e","pictures":9,"protocols":[{"id":"rules","methods":[
{"method":"$name","seeds":[0],"metrics":{"miou_i":{"mean":$value,"sd":0.0}}}]}]}
END
    cat > "$store/$folder/samples/samples.json" <<END
{"protocol":"rules","samples":[{"image":"a.jpg","views":[{"file":"x.png","caption":"image"},
{"file":"x.png","caption":"ground truth"},{"file":"x.png","caption":"$name"}]}]}
END
    cp "$store/x.png" "$store/$folder/samples/x.png"
    echo "$folder" ;;
compare)
    set -- $tables
    shift
    first=$1
    shift
    printf '['
    comma=
    for table in "$@"; do
        printf '%s{"protocol":"rules","metric":"miou_i","runs":["%s","%s"],"images":9,"difference":-0.125,"interval":[-0.25,-0.0625]}' \
            "$comma" "$first" "$table"
        comma=,
    done
    printf ']\n' ;;
esac
"#;

/// A folder with the program, stand-ins of the others, and a spec.
struct Case(Workshop);

impl Case {
    fn new(spec: &str) -> Self {
        let case = Self(Workshop::new());
        case.0.program("trainer", TRAINER);
        case.0.put("spec.toml", spec);
        std::fs::create_dir(case.0.path("out")).unwrap();
        image::RgbImage::from_pixel(4, 4, image::Rgb([200, 20, 20])).save(case.0.path("out/x.png")).unwrap();
        case
    }

    fn run(&self, flags: &[&str]) -> Outcome {
        let spec: &[&str] = if flags.contains(&"--spec") { &[] } else { &["--spec", "spec.toml"] };
        self.0.run(&[&["benchmark", "--out", "out"], flags, spec].concat())
    }
}

#[test]
fn every_method_is_trained_once_a_seed_and_students_after_their_teachers() {
    let case = Case::new(SPEC);
    let said = case.run(&["--json"]);
    said.says(0, &["page: "]);
    let trained = case.0.read("out/trained");
    let lines: Vec<&str> = trained.lines().collect();
    assert_eq!(
        lines,
        [
            "glass 3 none",
            "spot-teacher 3 none",
            "glass-half 3 none",
            "spot-student 3 run-spot-teacher-3",
            "glass 4 none",
            "spot-teacher 4 none",
            "glass-half 4 none",
            "spot-student 4 run-spot-teacher-4",
        ]
    );

    let made: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(made, serde_json::from_str::<Value>(&case.0.read("out/benchmark.json")).unwrap());
    let methods = made["methods"].as_array().unwrap();
    let names: Vec<&Value> = methods.iter().map(|method| &method["name"]).collect();
    assert_eq!(names, ["glass", "spot-teacher", "spot-student", "half"]);
    let score = &methods[0]["scores"]["rules"]["miou_i"];
    assert!((score["mean"].as_f64().unwrap() - 0.5).abs() < 1e-12);
    assert!((score["sd"].as_f64().unwrap() - 0.02f64.sqrt()).abs() < 1e-12);
    // Both attempts of both seeds.
    assert_eq!(methods[0]["processor_seconds"], json!({"mean": 5.0, "sd": 0.0}));
    assert_eq!(methods[0]["runs"][1]["attempts"], 2);
    assert_eq!(methods[0]["peak_memory_bytes"], 70_000_000);
    assert_eq!(
        (&methods[0]["differences"], &methods[3]["differences"][0]["interval"]),
        (&json!([]), &json!([-0.25, -0.0625]))
    );
    assert_eq!(made["untrained"][0]["scores"]["rules"]["miou_i"]["mean"], 0.25);

    let page = case.0.read("out/benchmark.html");
    assert!(page.contains("0.500 ± 0.141") && page.contains("blocks") && page.contains("</html>"));
    assert!(page.contains("-0.125 [-0.250, -0.062]") && page.contains("data:image/jpeg;base64,"));
    assert!(page.contains("loss/total") && !page.contains("loss/none"));
    assert!(!page.contains("src=\"out") && !page.contains("href="));

    check("benchmark-json", &said, case.0.root());
    check("benchmark", &case.run(&[]), case.0.root());

    // Again: nothing is trained, and the same comes out.
    let again = case.run(&["--json"]);
    assert_eq!((again.code, &again.stdout), (0, &said.stdout));
    assert_eq!((case.0.read("out/trained"), case.0.read("out/benchmark.html")), (trained, page));
}

#[test]
fn a_method_that_fails_keeps_what_is_finished_and_the_same_command_goes_on() {
    let case = Case::new(SPEC);
    case.0.put("out/broken-spot-teacher", "");
    case.run(&[]).says(1, &["train-spot-teacher-3 failed", "error: broken"]);
    assert_eq!(case.0.read("out/trained"), "glass 3 none\n");
    std::fs::remove_file(case.0.path("out/broken-spot-teacher")).unwrap();
    case.run(&["--methods", "glass,spot-teacher", "--seeds", "3"])
        .says(0, &["method", "mIoU_i", "every training: 70 steps, batches of 5", "70.0 MB"]);
    assert_eq!(case.0.read("out/trained"), "glass 3 none\nspot-teacher 3 none\n");
}

#[test]
fn the_plan_tells_what_each_method_changes() {
    let case = Case::new(SPEC);
    check("benchmark-plan", &case.run(&["--dry-run"]), case.0.root());
    let said = case.run(&["--dry-run", "--json", "--set", "benchmark.steps=9"]);
    check("benchmark-plan-json", &said, case.0.root());
    let methods: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    let student = methods.iter().find(|method| method["name"] == "spot-student").unwrap();
    assert_eq!((&student["teacher"], &student["wave"]), (&json!("spot-teacher"), &json!(1)));
    assert_eq!(
        methods[3]["set"],
        json!([
            "method=\"glass\"",
            "method=glass",
            "trainer.loss.instance=0.5",
            "trainer.phase1.steps=9",
            "trainer.phase2.steps=0",
            "trainer.phase1.batch=5",
        ])
    );
    assert!(!case.0.path("out/trained").exists());
}

#[test]
fn wrong_methods_are_refused_before_anything_is_trained() {
    let case = Case::new(SPEC);
    case.run(&["--methods", "glas"]).says(1, &["`glas`", "did you mean `glass`?"]);
    case.run(&["--set", "benchmark.methods=[]"]).says(1, &["`benchmark.methods` is empty", "`spot-student`"]);
    case.run(&["--set", "benchmark.reference=x"]).says(1, &["`benchmark.reference` is `x`"]);
    case.run(&["--set", "benchmark.changes.half=[\"method=glass\", \"trainer.slots.cuont=3\"]"])
        .says(1, &["cuont", "`count`"]);
    assert!(!case.0.path("out/trained").exists());
}
