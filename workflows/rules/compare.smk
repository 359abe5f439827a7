rule compare:
    input:
        summaries=expand("{fit}/evaluation/summary.json", fit=COMPARED),
    output:
        table=report(
            "comparison.csv", caption="../report/comparison.rst", category="Comparison"
        ),
        page="comparison.html",
    log:
        "logs/compare.log",
    params:
        version=VERSIONS["compare"],
        fits=" ".join(COMPARED),
    shell:
        "fitrec compare {params.fits} --out {output.table} --overwrite --log {log}"
