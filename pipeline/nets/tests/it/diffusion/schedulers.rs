use std::path::Path;

use burn::tensor::Device;
use glass_nets::schedulers::{FinalSigma, Scheduler, SchedulerChoice, SchedulerConfig, TimestepSpacing};
use serde_json::Value;

use crate::golden::{Golden, TOLERANCE, mini, relative_error, vector};

fn scheduler(config: &str, choice: SchedulerChoice) -> Scheduler {
    Scheduler::new(SchedulerConfig::parse(config, Path::new("scheduler_config.json"), choice).unwrap()).unwrap()
}

#[test]
fn parity_of_the_schedulers() {
    let device = Device::flex();
    let golden = Golden::open("diffusion/schedulers.safetensors");
    let cases = std::fs::read_to_string(crate::golden::goldens("diffusion/schedulers.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    let outputs = golden.tensor::<5>("model_outputs", &device);
    let mut worst = std::collections::BTreeMap::<String, f64>::new();
    for (i, case) in cases.iter().enumerate() {
        let scheduler = scheduler(&case["config"].to_string(), SchedulerChoice::Checkpoint);
        let mut run = scheduler.trajectory(case["steps"].as_u64().unwrap() as usize).unwrap();
        let expected: Vec<f32> = serde_json::from_value(case["timesteps"].clone()).unwrap();
        assert_eq!(run.timesteps(), expected, "{case}");
        let mut sample = golden.tensor::<4>("sample", &device);
        let mut ours = Vec::new();
        if let Some(sigma) = case["initial_sigma"].as_f64() {
            assert!((run.initial_sigma() / sigma - 1.0).abs() < 1e-6, "{case}");
            let input = vector(run.network_input(sample.clone()));
            let error = relative_error(&input, &golden.values(&format!("network_input.{i}")));
            assert!(error <= TOLERANCE, "{error:.2e} in the network's input, {case}");
        }
        for call in 0..expected.len() {
            let output = outputs.clone().narrow(0, call, 1).squeeze_dim::<4>(0);
            let sigma = run.next_noise();
            sample = run.step(output, sample);
            if sigma > 0.0 {
                let noise = golden.tensor::<5>("variance_noise", &device);
                sample = sample + noise.narrow(0, call, 1).squeeze_dim::<4>(0) * sigma;
            }
            ours.extend(vector(sample.clone()));
        }
        assert_eq!(run.next_timestep(), None);
        let error = relative_error(&ours, &golden.values(&format!("trajectory.{i}")));
        assert!(error <= TOLERANCE, "{error:.2e} in {case}");
        let class = case["config"]["_class_name"].as_str().unwrap().to_owned();
        let entry = worst.entry(class).or_default();
        *entry = entry.max(error);
    }
    for (class, error) in worst {
        println!("| scheduler | {class}, all cases | {error:.1e} |");
    }
}

#[test]
fn parity_of_noise_and_velocity() {
    let device = Device::flex();
    let golden = Golden::open("diffusion/schedulers.safetensors");
    let scheduler = Scheduler::from_config(mini("stable-diffusion/scheduler"), SchedulerChoice::Checkpoint).unwrap();
    let noise = scheduler.noise();
    crate::golden::parity("scheduler", "alphas_cumprod", noise.alphas_cumprod(), &golden.values("alphas_cumprod"));
    let timesteps: Vec<usize> = golden.integers("noise_timesteps").iter().map(|t| *t as usize).collect();
    let [clean, epsilon] = ["clean", "noise"].map(|name| golden.tensor::<4>(name, &device));
    let noisy = noise.add_noise(clean.clone(), epsilon.clone(), &timesteps).unwrap();
    crate::golden::parity("scheduler", "add_noise", &vector(noisy), &golden.values("noisy"));
    let velocity = noise.velocity(clean.clone(), epsilon.clone(), &timesteps).unwrap();
    crate::golden::parity("scheduler", "velocity", &vector(velocity), &golden.values("velocity"));
    assert!(noise.add_noise(clean.clone(), epsilon.clone(), &[1000; 5]).is_err());
    assert!(noise.add_noise(clean, epsilon, &[1]).is_err());
}

#[test]
fn timetables_are_the_published_ones() {
    let sd = r#"{"_class_name": "PNDMScheduler", "skip_prk_steps": true, "steps_offset": 1, "beta_start": 0.00085,
        "beta_end": 0.012, "beta_schedule": "scaled_linear", "trained_betas": null}"#;
    let pndm = scheduler(sd, SchedulerChoice::Checkpoint).trajectory(100).unwrap();
    assert_eq!(pndm.timesteps().len(), 101);
    assert_eq!(pndm.timesteps()[..3], [991.0, 981.0, 981.0]);
    let ddim = scheduler(sd, SchedulerChoice::Ddim).trajectory(50).unwrap();
    assert_eq!((ddim.timesteps()[0], ddim.timesteps()[49]), (981.0, 1.0));
    let dpm = scheduler(sd, SchedulerChoice::DpmSolver { final_sigma: FinalSigma::SigmaMin });
    assert_eq!(dpm.config().timestep_spacing, TimestepSpacing::Linspace);
    let run = dpm.trajectory(250).unwrap();
    assert_eq!((run.timesteps()[0], run.timesteps()[249]), (999.0, 4.0));
    let alphas = dpm.noise().alphas_cumprod();
    assert!((alphas[0] - 0.99915).abs() < 1e-6 && (alphas[999] - 0.00466).abs() < 1e-5);
}

#[test]
fn what_is_not_implemented_is_refused_by_name() {
    let refused = |config: &str| {
        SchedulerConfig::parse(config, Path::new("scheduler_config.json"), SchedulerChoice::Checkpoint)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(r#"{"_class_name": "LMSDiscreteScheduler"}"#).contains("`_class_name`"));
    assert!(refused(r#"{"_class_name": "PNDMScheduler"}"#).contains("`skip_prk_steps`"));
    assert!(refused(r#"{"_class_name": "DDIMScheduler", "thresholding": true}"#).contains("`thresholding`"));
    assert!(refused(r#"{"_class_name": "DDIMScheduler", "beta_schedule": "sigmoid"}"#).contains("`beta_schedule`"));
    let karras = r#"{"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true}"#;
    assert!(refused(karras).contains("`use_karras_sigmas`"));
    let ddim = scheduler(r#"{"_class_name": "DDIMScheduler"}"#, SchedulerChoice::Checkpoint);
    assert!(ddim.trajectory(0).is_err() && ddim.trajectory(1001).is_err());
}

#[test]
fn a_file_with_pythons_infinity_is_read() {
    let config = r#"{"_class_name": "DPMSolverMultistepScheduler", "note": "-Infinity stays",
        "lambda_min_clipped": -Infinity, "beta_schedule": "scaled_linear"}"#;
    let scheduler = scheduler(config, SchedulerChoice::Checkpoint);
    assert_eq!(scheduler.config().timestep_spacing, TimestepSpacing::Linspace);
}
