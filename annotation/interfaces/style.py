"""How interfaces look: one style sheet, and a colour an aspect."""

from typing import Final

ASPECT_COLOURS: Final = {
    "prompt_alignment": "#1f6feb",
    "physical_plausibility": "#bc4c00",
    "aesthetics": "#8250df",
    "temporal_consistency": "#0a7d5a",
    "safety": "#cf222e",
    "overall": "#57606a",
}

# Label Studio gives a Style tag the whole page, so every rule but the last ones is kept under
# .fw. The verdict sticks to the lower edge: it is in view however tall the media are.
STYLE: Final = """
.fw { color: #1f2328; padding-bottom: 4px; }
.fw h4 { margin: 0 !important; font-size: 14px; line-height: 20px; font-weight: 600; }
.fw-hidden { display: none; }
.fw-warning:has(h4:empty) { display: none; }
.fw-warning { background: #fff1e5; border: 1px solid #bc4c00; border-radius: 8px;
  padding: 6px 12px; margin-bottom: 8px; }
.fw-warning h4 { display: inline; }
.fw-warning::after { content: " Covered: q or the mouse shows it, 0 declines."; color: #57606a; }
.fw:has(.fw-warning h4:not(:empty)) .fw-shown { opacity: 0; }
.fw:has(.fw-warning h4:not(:empty)) .fw-card { background:
  repeating-linear-gradient(45deg, #fff, #fff 12px, #f6f8fa 12px, #f6f8fa 24px); }
.fw:has(.fw-warning h4:not(:empty)) .fw-card:hover .fw-shown,
.fw:has(.fw-warning h4:not(:empty)) .fw-card:focus-within .fw-shown,
[data-fw-uncovered] .fw:has(.fw-warning h4:not(:empty)) .fw-shown { opacity: 1; }
.fw-prompt { background: #f6f8fa; border: 1px solid #d0d7de; border-radius: 10px;
  padding: 8px 14px; margin-bottom: 10px; display: flex; flex-wrap: wrap; gap: 4px 16px;
  align-items: baseline; }
.fw-prompt .fw-warning { flex-basis: 100%; }
.fw-prompt .fw-caption h4 { color: #57606a; font-weight: 500; }
.fw-words { flex: 1 1 320px; min-width: 0; }
.fw-words .lsf-richtext__container, .fw-words .lsf-richtext__line { font-size: 18px; padding: 0; }
.fw-cards { display: flex; gap: 12px; align-items: stretch; }
.fw-card { flex: 1 1 0; min-width: 0; background: #fff; border: 1px solid #d0d7de;
  border-radius: 10px; padding: 8px 10px; }
.fw-title { height: 30px; }
.fw-title h4 { display: inline-block; min-width: 26px; padding: 2px 8px;
  margin-bottom: 6px !important;
  border-radius: 6px; background: #1f2328; color: #fff !important; text-align: center; }
.fw-text .lsf-richtext__container { font-size: 16px; line-height: 1.6; max-height: 46vh;
  overflow: auto; padding: 4px 2px; }
.fw-reasons { margin-top: 6px; }
.fw-reasons .lsf-labels { margin: 0; display: flex; flex-wrap: wrap; gap: 4px; }
.fw-reasons .lsf-label { margin: 0; padding: 0 8px; font-size: 13px; line-height: 22px;
  height: 24px; }
.fw-reasons .lsf-label__hotkey { display: none; }
.fw-unmet { margin-top: 0; }
.fw .lsf-hint { position: static; display: inline-block; margin-left: 6px; padding: 0 4px;
  font: 12px/18px monospace; color: #57606a; background: #f6f8fa; border: 1px solid #d0d7de;
  border-bottom-width: 2px; border-radius: 4px; vertical-align: baseline; }
.fw .lsf-choices { display: flex; flex-wrap: wrap; gap: 5px; margin: 0; }
.fw .lsf-choice, .fw .lsf-choice__item { margin: 0; padding: 0; width: auto; }
.fw .lsf-choice label { margin: 0; padding: 3px 7px; font-size: 13px; border: 1px solid #d0d7de;
  border-radius: 8px; background: #fff; cursor: pointer; line-height: 20px; display: flex;
  align-items: center; }
.fw .lsf-choice label > span { padding: 0; margin: 0; }
.fw .lsf-choice label:hover { border-color: #1f6feb; }
.fw .lsf-choice label:focus-within { outline: 2px solid #1f6feb; }
.fw .lsf-choice .ant-radio, .fw .lsf-choice .ant-checkbox { position: absolute; opacity: 0; }
.fw .lsf-choice .ant-radio-wrapper-checked,
.fw .lsf-choice .ant-checkbox-wrapper-checked { background: #1f6feb; border-color: #1f6feb;
  color: #fff; }
.fw .lsf-choice .ant-checkbox-wrapper-checked span { color: #fff; }
.fw-judged { background: #fff; border: 1px solid #d0d7de; border-radius: 10px;
  padding: 8px 12px; }
.fw-pair .fw-judged, .fw-edit .fw-judged { position: sticky; bottom: 0; z-index: 20;
  margin-top: 10px; box-shadow: 0 -4px 16px rgba(31, 35, 40, .12); }
.fw-verdict { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 12px; }
.fw-pair .fw-ratings { display: flex; flex-wrap: wrap; gap: 6px 20px; margin-top: 8px;
  padding-top: 8px; border-top: 1px solid #eaeef2; }
.fw-pair .fw-row, .fw-edit .fw-row { display: flex; align-items: center; gap: 8px; }
.fw-question h4 { font-weight: 500; color: #424a53; white-space: nowrap; }
.fw-key h4 { padding: 0 5px; font: 12px/18px monospace; color: #57606a; background: #f6f8fa;
  border: 1px solid #d0d7de; border-bottom-width: 2px; border-radius: 4px; }
.fw-critique .fw-card { flex: 1.3 1 0; }
.fw-critique .fw-judged { flex: 1 1 0; min-width: 320px; }
.fw-critique .fw-question { flex: 1; }
.fw-critique .fw-row { display: flex; align-items: center; gap: 10px; padding: 4px 0;
  border-bottom: 1px solid #eaeef2; }
.fw-critique .fw-verdict { margin-top: 10px; }
.fw-edit .fw-verdict { margin-top: 8px; padding-top: 8px; border-top: 1px solid #eaeef2; }
.fw-edited form, .fw-edited .ant-form-item { margin: 0; }
.fw-edited textarea { font-size: 16px; line-height: 1.6; min-height: 46vh; color: inherit;
  border-radius: 8px; }
.fw-comment { margin-top: 8px; }
.fw-comment textarea { border-radius: 8px; }
.fw .ant-rate { white-space: nowrap; color: #bf8700; }
.fw .ant-rate-star-zero, .fw .ant-rate-star-zero * { color: #d8dee4; }
.fw .ant-rate .anticon { background: currentColor; clip-path: polygon(50% 4%, 63% 36%, 97% 38%,
  71% 60%, 80% 94%, 50% 75%, 20% 94%, 29% 60%, 3% 38%, 37% 36%); }
.fw .lsf-timeline { overflow: hidden; }
.fw .lsf-timeline-controls > :last-child,
.fw .lsf-timeline-controls > :nth-child(2) > :first-child { display: none; }
.fw-hint { margin-left: auto; }
.fw .fw-hint h4 { font-weight: 400; font-size: 12px; color: #57606a; }
.fw-blind .lsf-toolbar, .lsf-tool[aria-label="rectangle-3-point-tool"] { display: none; }
.lsf-sidepanels:has(.fw) { padding: 0 !important; }
.lsf-sidepanels:has(.fw) .lsf-sidepanels__wrapper { display: none; }
.lsf-sidepanels:has(.fw) .lsf-sidepanels__content { width: 100% !important;
  max-width: 100% !important; margin: 0 !important; padding: 0 !important; }
"""
