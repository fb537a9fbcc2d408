"""The web page as a visitor uses it."""

from __future__ import annotations

import time
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 120


class AppPage:
    """The page in a browser, freshly loaded."""

    def __init__(self, browser, address: str):
        self.browser = browser
        browser.get(address)
        self.until(lambda: len(self.all("#examples button")) == 6 and self.all("#image input[type=file]"))

    def until(self, condition):
        waiting = WebDriverWait(self.browser, SECONDS, 0.2, ignored_exceptions=[StaleElementReferenceException])
        return waiting.until(lambda _: condition())

    def all(self, selector: str) -> list:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str):
        [found] = self.all(selector)
        return found

    def source(self, selector: str) -> str | None:
        return self.browser.execute_script("return document.querySelector(arguments[0])?.src", selector)

    def pick(self, number: int) -> None:
        before = self.source("#image img")
        self.all("#examples button")[number].click()
        self.until(lambda: self.text and self.source("#image img") not in (None, before))

    def upload(self, path: Path) -> None:
        if self.all("#image button[aria-label='Remove Image']"):
            self.one("#image button[aria-label='Remove Image']").click()
        self.until(lambda: not self.all("#image img") and self.all("#image input[type=file]"))
        self.one("#image input[type=file]").send_keys(str(path))

    def upload_shown(self, path: Path) -> None:
        self.upload(path)
        self.until(lambda: self.all("#image img"))

    @property
    def text(self) -> str:
        return self.one("#words textarea").get_attribute("value")

    def type(self, text: str) -> None:
        self.one("#words textarea").clear()
        self.one("#words textarea").send_keys(text)

    def find_parts(self) -> None:
        """Presses the button and waits for a new result."""
        before = self.found_image
        self.one("#ask").click()
        self.until(lambda: self.found_image not in (None, before))

    def fail_to_find(self, message: str) -> str:
        """Presses the button and waits for an error message."""
        self.one("#ask").click()
        return self.wait_for_message(message)

    def wait_for_message(self, message: str) -> str:
        try:
            [found] = self.until(lambda: [text for text in self.messages if message in text])
        except TimeoutException:
            raise AssertionError(f"{message!r} is not among the messages {self.messages}") from None
        self.browser.execute_script("document.querySelectorAll('.toast-close').forEach(button => button.click())")
        self.until(lambda: not self.messages)
        return found

    @property
    def messages(self) -> list[str]:
        script = "return [...document.querySelectorAll('[data-testid=toast-text]')].map(toast => toast.innerText)"
        return self.browser.execute_script(script)

    @property
    def found_image(self) -> str | None:
        """Address of the image with painted parts."""
        return self.source("#found img.painted")

    def found_size(self) -> tuple[int, int]:
        script = """const image = document.querySelector("#found img.painted");
        return image.complete ? [image.naturalWidth, image.naturalHeight] : 0"""
        return tuple(self.until(lambda: self.browser.execute_script(script)))

    def find_again(self, action) -> None:
        """Does something after which the image is painted anew."""
        before = self.found_image
        action()
        self.until(lambda: self.found_image not in (None, before))

    def point(self, keys: str) -> str:
        """Presses keys on the picture of the answer, and returns what is said to be there."""
        before = self.one("#found .readout").text
        self.one("#found .stage").send_keys(keys)
        self.until(lambda: self.one("#found .readout").text not in ("", before))
        return self.one("#found .readout").text

    def slide(self, selector: str, value: int) -> None:
        script = """arguments[0].value = arguments[1];
        arguments[0].dispatchEvent(new Event("input", { bubbles: true }))"""
        self.browser.execute_script(script, self.one(selector), value)

    def choose(self, selector: str, name: str) -> None:
        """Picks an entry of a list of models."""
        field = self.one(f"{selector} input")
        self.browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", field)
        field.click()
        entries = "ul[role=listbox] li"
        [entry] = self.until(lambda: [e for e in self.all(entries) if e.text.removeprefix("✓").strip() == name])
        entry.click()

    def style(self, selector: str, name: str) -> str:
        script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        return self.browser.execute_script(script, selector, name)

    @property
    def switches(self) -> dict:
        """Part -> its checkbox."""
        return {label.text: label.find_element(By.TAG_NAME, "input") for label in self.all("#parts .wrap label")}

    def table(self) -> dict[str, list[str]]:
        """Part -> its other cells."""
        rows = [row.find_elements(By.CSS_SELECTOR, "th, td") for row in self.all("#scores tbody tr")]
        return {cells[0].text: [cell.text for cell in cells[1:]] for cells in rows}

    def download(self, file_name: str) -> bytes:
        path = self.browser.downloads / file_name
        self.one(f"#download-{file_name.replace('.', '-')}").click()
        self.until(path.exists)
        time.sleep(0.2)
        return path.read_bytes()
