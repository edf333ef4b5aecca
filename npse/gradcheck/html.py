"""A report as HTML, for notebooks: verdicts, errors against both numeric gradients, diagnoses, pictures."""

import base64
from html import escape

from npse.gradcheck import pictures
from npse.gradcheck.results import Report, Result

COLOURS = {"right": "#15803d", "wrong": "#b91c1c", "cannot tell": "#a16207"}
MOST_PICTURES = 4


def report_as_html(report: Report) -> str:
    """A report as HTML, with its pictures inside."""
    failed = len(report.failures)
    verdict = "everything is right" if report.ok else f"{failed} of {len(report.results)} checks failed"
    drawn = [result for result in report.failures if result.view is not None][:MOST_PICTURES]
    return (f"<p><b style='color:{COLOURS['right' if report.ok else 'wrong']}'>{verdict}</b></p>"
            "<table><thead><tr><th>op</th><th>judged</th><th>verdict</th><th>worst relative error</th>"
            "<th>complex step</th><th>error budget</th><th>why</th></tr></thead>"
            f"<tbody>{''.join(map(_row, report.results))}</tbody></table>{''.join(map(_picture, drawn))}")


def _row(result: Result) -> str:
    why = result.diagnosis.text if result.diagnosis else result.message
    second = "not possible" if result.judged == "gradient" else ""
    if result.complex_step is not None:
        second = f"{result.complex_step:.1e}"
    cells = (f"{result.op} [{result.case}]", f"{result.judged} {result.argument}",
             f"<b style='color:{COLOURS[result.verdict]}'>{result.verdict}</b>",
             f"{result.error:.1e}" if result.argument else "",
             second, str(result.budget or ""), why)
    return "<tr>" + "".join(f"<td style='text-align:left'>{cell if i == 2 else escape(cell)}</td>"
                            for i, cell in enumerate(cells)) + "</tr>"


def _picture(result: Result) -> str:
    data = base64.b64encode(pictures.png(result)).decode()
    alt = escape(f"d{result.argument}: {result.message}", quote=True)
    return f"<img alt='{alt}' src='data:image/png;base64,{data}'/>"
