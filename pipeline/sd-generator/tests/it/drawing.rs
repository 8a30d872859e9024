use glass_nets::Backend;
use glass_nets::unet::capture::{CapturedMap, MapKind};
use glass_schemas::dataset::{CaptionRow, ClassLabel};
use glass_schemas::ids::{Digest, SampleId};
use glass_schemas::spec::{ClassPromptMode, GeneratorSpec};
use glass_sd_generator::{Drawing, Generator, Request};

/// Sums of other batch sizes may be taken in another order.
const TOLERANCE: f32 = 1e-4;

fn spec() -> GeneratorSpec {
    GeneratorSpec {
        weights: concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/mini/stable-diffusion").to_owned(),
        steps: 3,
        guidance_scale: 4.0,
        negative_prompt: String::new(),
        class_prompt: "a photo of a {class}".to_owned(),
        cross_resolutions: vec![8],
        self_resolutions: vec![16],
        ..GeneratorSpec::default()
    }
}

fn generator(spec: &GeneratorSpec, seed: u64) -> Generator {
    Generator::load(spec, seed, Backend::Flex.device().unwrap()).unwrap()
}

fn request(caption: &str, classes: &[&str], replicate: u32) -> Request {
    let source = Digest::of(caption.as_bytes());
    let classes = classes.iter().zip(1..);
    let prompt = caption.to_owned();
    Request {
        sample_id: SampleId::generated(&source, &prompt, replicate),
        replicate,
        caption: CaptionRow {
            sample_id: SampleId::of_source(&source),
            source_uri: "x.jpg".to_owned(),
            source_digest: source,
            width: 128,
            height: 128,
            caption: caption.to_owned(),
            classes: classes.map(|(name, id)| ClassLabel { id, name: (*name).to_owned() }).collect(),
            class_source: "caption".to_owned(),
            flags: Vec::new(),
            prompt,
        },
    }
}

fn differ(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let pairs = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    pairs.fold(0.0, f32::max) / largest
}

fn cross(drawing: &Drawing) -> Vec<&CapturedMap> {
    drawing.maps.iter().filter(|map| map.kind == MapKind::Cross).collect()
}

#[test]
fn a_sample_is_the_same_alone_and_in_a_batch() {
    let generator = generator(&spec(), 7);
    let requests = [
        request("a photo of a cat on the grass", &["cat"], 0),
        request("a photo of a dog and a bus on the snow", &["dog", "bus"], 0),
        request("a photo of the sea", &[], 0),
    ];
    let together = generator.draw(&requests).unwrap();
    for (request, in_batch) in requests.iter().zip(&together) {
        let alone = &generator.draw(std::slice::from_ref(request)).unwrap()[0];
        assert!(differ(&in_batch.latent, &alone.latent) < TOLERANCE);
        for map in &alone.maps {
            let same = |other: &&CapturedMap| {
                (other.kind, other.resolution, other.part) == (map.kind, map.resolution, map.part)
            };
            let other = in_batch.maps.iter().find(same).unwrap();
            assert_eq!(other.calls, map.calls);
            assert!(differ(&other.values, &map.values) < TOLERANCE);
        }
    }
}

#[test]
fn the_picture_depends_on_the_seed_and_the_replicate() {
    let one = [request("a photo of a cat on the grass", &["cat"], 0)];
    let other = [request("a photo of a cat on the grass", &["cat"], 1)];
    let generator_one = generator(&spec(), 7);
    let drawn = generator_one.draw(&one).unwrap().remove(0);
    assert_eq!(drawn.latent, generator_one.draw(&one).unwrap()[0].latent);
    assert!(differ(&drawn.latent, &generator_one.draw(&other).unwrap()[0].latent) > 0.1);
    assert!(differ(&drawn.latent, &generator(&spec(), 8).draw(&one).unwrap()[0].latent) > 0.1);
    assert_eq!(drawn.latent_shape, [8, 16, 16]);
    assert_eq!((drawn.image.width(), drawn.image.height()), (128, 128));
}

#[test]
fn there_is_a_map_for_every_class_however_the_classes_are_asked_for() {
    let requests = [request("a photo of a dog and a bus on the snow", &["dog", "bus"], 0)];
    for class_prompt_mode in [ClassPromptMode::PerClass, ClassPromptMode::Joint] {
        let spec = GeneratorSpec { class_prompt_mode, ..spec() };
        let drawn = generator(&spec, 7).draw(&requests).unwrap();
        let maps = cross(&drawn[0]);
        assert_eq!(maps.len(), 2, "even and odd calls");
        assert!(maps.iter().all(|map| map.values.len() == 2 * 8 * 8));
    }
}

#[test]
fn what_the_network_cannot_do_is_refused_by_name() {
    let odd = GeneratorSpec { size: 100, ..spec() };
    let Err(error) = Generator::load(&odd, 7, Backend::Flex.device().unwrap()) else { unreachable!() };
    assert!(error.to_string().contains("`generator.size` 100"), "{error}");
    let missing = GeneratorSpec { cross_resolutions: vec![32], ..spec() };
    let requests = [request("a photo of a cat", &["cat"], 0)];
    let error = generator(&missing, 7).draw(&requests).unwrap_err().to_string();
    assert!(error.contains("32x32"), "{error}");
}
