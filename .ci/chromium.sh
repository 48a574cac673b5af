# Sourced: sees to Chromium and its driver, for the tests of the page; without they are skipped.

if ! command -v chromedriver >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  {
    apt-get update
    apt-get install -y --no-install-recommends chromium chromium-driver fonts-dejavu-core
  } >/dev/null 2>&1 || true
fi
command -v chromedriver || echo "no Chromium here and none could be installed: its tests are skipped"
