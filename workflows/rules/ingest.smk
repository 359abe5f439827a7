rule ingest:
    input:
        files=recording_files,
    output:
        # A plain file of the store: as directory() Snakemake would put a file of its own into it.
        recording="recordings/{recording}/recording.zarr/zarr.json",
    log:
        "logs/{recording}.ingest.log",
    benchmark:
        "benchmarks/{recording}.ingest.jsonl"
    params:
        hash=recording_hash("ingest"),
        version=VERSIONS["ingest"],
    shell:
        "fitrec ingest --config config.yaml --recording {wildcards.recording}"
        " --out $(dirname {output.recording}) --overwrite --log {log}"
