rule targets:
    input:
        recording=rules.ingest.output.recording,
    output:
        targets="recordings/{recording}/targets.zarr/zarr.json",
    log:
        "logs/{recording}.targets.log",
    benchmark:
        "benchmarks/{recording}.targets.jsonl"
    params:
        hash=recording_hash("targets"),
        version=VERSIONS["targets"],
    shell:
        "fitrec targets $(dirname {input.recording}) --config config.yaml"
        " --out $(dirname {output.targets}) --overwrite --log {log}"
