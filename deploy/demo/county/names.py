"""Names for invented people and the streets of a town that is on no map, as a mixed English county would have them.

Each heritage carries first names for girls and boys, surnames, and how often it occurs. Parents draw from older first
names than their children, as people do. A few names are common and many are rare (Zipf); surnames and streets put
together from syllables make enough of the rare ones for a hundred thousand people. No row describes a real person;
names are joined at random.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Heritage:
    """One pool of names.

    Attributes:
        id: What it is called here.
        weight: Households in a hundred that draw from this pool.
        women: First names for women born before 2000.
        men: First names for men born before 2000.
        girls: First names for girls born since.
        boys: First names for boys born since.
        surnames: Last names, the commonest first.
        women_take: How many wives in a hundred take their husband's name.
        ways: How a name of two words is made and lost: "" for none; "two surnames" (a father's and a mother's, of which
            a clerk may keep one); "family name first"; "honorific" (a middle name that a clerk may take for the last).
    """

    id: str
    weight: int
    women: tuple[str, ...]
    men: tuple[str, ...]
    girls: tuple[str, ...]
    boys: tuple[str, ...]
    surnames: tuple[str, ...]
    women_take: int = 60
    ways: str = ""


def zipf(count: int, head: int) -> tuple[float, ...]:
    """Weights of so many names, added up: the larger `head`, the less the first of them stand out."""
    return tuple(accumulate(1 / (rank + head) for rank in range(count)))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_HEADS: Final = _words(
    "ash bar black brad brook burn carl clay cob cran dal dun ed elm fair fen gar graf hal har hol kel king lang lin "
    "lock mal mar mel nor oak old pen ray red ros shel stan thor tol wal wes whit win wood"
)
_TAILS: Final = _words(
    "bury by combe cote croft den don field ford ham hurst land ley low man mere more ridge son stead stock ton well "
    "wick wood worth"
)
_KINDS: Final = _words("Road Street Close Avenue Lane Drive Grove Court Crescent Gardens Way Place")

HERITAGES: Final = (
    Heritage(
        id="English",
        weight=70,
        women=_words(
            "Alison Amanda Andrea Angela Ann Anna Annette Beverley Brenda Carol Caroline Carolyn Catherine Cheryl "
            "Christina Christine Claire Clare Dawn Deborah Debra Denise Diana Diane Donna Dorothy Eileen Elaine "
            "Elizabeth Emma Fiona Frances Gail Gemma Gillian Hayley Hazel Heather Helen Hilary Jacqueline Jane Janet "
            "Janice Jean Jennifer Jill Joan Joanne Josephine Joy Joyce Judith Julia Julie June Karen Katherine "
            "Kathleen "
            "Kathryn Kay Kelly Kerry Kim Kirsty Laura Leanne Lesley Linda Lindsay Lisa Lorraine Louise Lucy Lynda Lynn "
            "Lynne Mandy Margaret Maria Marie Marilyn Marion Mary Maureen Maxine Melanie Melissa Michelle Moira "
            "Natalie "
            "Natasha Nicola Norma Pamela Patricia Paula Pauline Penelope Rachel Rebecca Rita Rosemary Ruth Sally "
            "Samantha Sandra Sarah Sharon Sheila Shirley Sonia Stella Stephanie Susan Suzanne Sylvia Teresa Theresa "
            "Tina Tracey Tracy Valerie Vanessa Vera Veronica Vicky Victoria Wendy Yvonne Zoe"
        ),
        men=_words(
            "Adam Adrian Alan Albert Alexander Alfred Alistair Allan Andrew Anthony Antony Arthur Barry Benjamin "
            "Bernard Brian Bruce Carl Charles Christopher Clifford Clive Colin Craig Damian Daniel Darren David Dean "
            "Dennis Derek Desmond Donald Douglas Duncan Edward Edwin Eric Ernest Frank Frederick Gareth Gary Gavin "
            "Geoffrey George Gerald Gerard Glen Glenn Gordon Graeme Graham Grant Gregory Guy Harold Harry Howard Hugh "
            "Ian Ivan Jack James Jason Jeffrey Jeremy John Jonathan Joseph Justin Karl Keith Kenneth Kevin Lawrence "
            "Lee "
            "Leonard Leslie Malcolm Marcus Mark Martin Matthew Maurice Melvyn Michael Miles Neil Nicholas Nigel Norman "
            "Patrick Paul Peter Philip Ralph Raymond Reginald Richard Robert Robin Roderick Rodney Roger Ronald Roy "
            "Russell Samuel Scott Sean Shane Shaun Sidney Simon Stanley Stephen Steven Stewart Stuart Terence Thomas "
            "Timothy Toby Tony Trevor Victor Vincent Walter Warren Wayne William"
        ),
        girls=_words(
            "Abbie Abigail Alexandra Alexis Alice Alicia Amber Amelia Amelie Amy Anna Annabelle Arabella Aria Aurora "
            "Ava Bella Bethany Bonnie Brooke Caitlin Charlotte Chloe Clara Courtney Daisy Darcey Darcie Eden Edith "
            "Eleanor Elise Eliza Elizabeth Ella Ellie Elsie Emilia Emily Emma Erin Esme Eva Eve Evelyn Evie Faith "
            "Felicity Florence Francesca Freya Gabriella Georgia Georgina Grace Gracie Hannah Harriet Heidi Hollie "
            "Holly Imogen Iris Isabel Isabella Isabelle Isla Ivy Jade Jasmine Jessica Katie Kayla Keira Lacey Lara "
            "Laura Lauren Layla Leah Lexi Libby Lily Lola Lottie Lucy Lydia Lyla Macy Madison Maisie Maria Martha "
            "Matilda Maya Megan Melissa Mia Mila Millie Molly Mya Nancy Natasha Nicole Niamh Olive Olivia Orla Paige "
            "Penelope Phoebe Poppy Rachel Rebecca Robyn Rosalie Rose Rosie Ruby Sadie Samantha Sara Sarah Scarlett "
            "Shannon Sienna Skye Sofia Sophia Sophie Summer Tegan Thea Tia Tilly Victoria Violet Willow Zara Zoe"
        ),
        boys=_words(
            "Aaron Adam Aidan Aiden Albert Albie Alex Alexander Alfie Alfred Archie Arlo Arthur Ashton Austin Bailey "
            "Benjamin Blake Bobby Bradley Brandon Caleb Callum Cameron Charles Charlie Christopher Cole Conor Connor "
            "Corey Curtis Daniel David Declan Dexter Dominic Dylan Edward Elijah Elliot Elliott Ellis Ethan Evan Ewan "
            "Ezra Felix Finlay Finley Frankie Freddie Frederick Gabriel George Harley Harrison Harry Harvey Hayden "
            "Henry Hudson Hugo Isaac Jack Jackson Jacob Jake James Jamie Jaxon Jayden Jenson Joel John Jonathan Jordan "
            "Joseph Joshua Jude Kai Kayden Kian Kieran Kyle Leo Leon Lewis Liam Logan Louie Louis Luca Lucas Luke "
            "Marcus Mason Matthew Max Maxwell Michael Morgan Myles Nathan Nathaniel Nicholas Noah Oliver Oscar Otis "
            "Owen Patrick Philip Ralph Reece Reggie Reuben Rhys Riley Robert Robin Roman Ronnie Rory Ryan Sam Samuel "
            "Sean Sebastian Sonny Spencer Stanley Sullivan Taylor Teddy Theo Theodore Thomas Toby Tommy Tyler William "
            "Zach Zachary"
        ),
        surnames=_words(
            "Smith Jones Taylor Brown Williams Wilson Johnson Davies Robinson Wright Thompson Evans Walker White "
            "Roberts Green Hall Wood Jackson Clarke Harris Clark Turner Hill Cooper Ward Moore Morris King Baker "
            "Harrison Morgan Allen James Scott Ellis Bennett Parker Price Shaw Cook Bailey Carter Richards "
            "Marshall Young Collins Mitchell Cox Watson Adams Foster Barker Palmer Webb Rogers Gibson Hunt Mills "
            "Lloyd Stevens Booth Fletcher Dixon Pearson Barnes Knight Butler Holmes Fox Harvey Simpson Powell "
            "Walsh Bradley Spencer Burton Atkinson Lowe Kemp Swift Lamb Frost Sharp Pratt Bird Hobbs Poole Page "
            "Hopkins Newton Parsons Bates Hardy Barrett Stone Cole Nash Dawson Freeman Wells Gregory "
            "Abney Ackroyd Aldous Applegarth Armitage Ashdown Atterbury Aylward Bagshaw Bancroft Barwick Bassett "
            "Beckwith Bellamy Birtwhistle Blackmore Blakeley Boothroyd Bramley Brearley Brindle Broadbent "
            "Brockhurst Burdett Burnham Butterworth Calvert Carswell Catterall Challoner Chadwick Clewlow "
            "Coldwell Copley Cotterill Cowdrey Crabtree Crawshaw Cresswell Dewhirst Dobbs Drakeford Duckworth "
            "Earnshaw Eastwood Eccleston Elphick Entwistle Fairbrother Fairclough Fanshawe Farnworth Fazackerley "
            "Fenwick Fothergill Garside Gatenby Gathercole Gedling Gledhill Goodfellow Greenhalgh Grimshaw Haigh "
            "Halliwell Hargreaves Hartshorn Haslam Haworth Hebblethwaite Heseltine Hibbert Hinchliffe Holdsworth "
            "Hollingworth Horrocks Huddlestone Ibbotson Illingworth Jagger Jessop Kearsley Kenworthy Kettlewell "
            "Kirkbride Lambourne Langstaff Lathom Leadbetter Ledwith Liversedge Lockyer Lonsdale Lumley Maddocks "
            "Marchbanks Marsden Micklethwaite Midgley Murgatroyd Nettleton Normanton Nuttall Oakeshott Oldroyd "
            "Ormerod Osgood Oxley Padgett Pargeter Peasgood Pickersgill Pilkington Postlethwaite Priestley "
            "Quarmby Ramsbottom Rawnsley Redfearn Ridsdale Rigby Rowbottom Rushworth Satterthwaite Scholefield "
            "Shackleton Shufflebotham Sidebottom Slingsby Smallwood Sowerby Stainthorpe Stanhope Stockdale Sugden "
            "Sutcliffe Swinburne Tattersall Tempest Thistlewood Threlfall Tillotson Titterington Tordoff "
            "Tunnicliffe Twells Uttley Varley Wagstaff Walmsley Wardle Weatherill Whiteley Widdowson Wigglesworth "
            "Winstanley Wolstenholme Woodhead Wormald Wragg Yardley Yeadon"
        )
        + tuple(f"{head.capitalize()}{tail}" for tail in _TAILS for head in _HEADS),
    ),
    Heritage(
        id="South Asian",
        weight=10,
        women=_words(
            "Amina Anjali Asma Balvinder Bushra Farah Farzana Fozia Gurpreet Harjit Humaira Jasbir Kavita Kulwinder "
            "Manjit Meena Meera Nasreen Nazia Neelam Nusrat Parveen Rashida Rehana Rekha Rubina Rukhsana Sadia Saima "
            "Salma Samina Shabana Shaheen Shamim Shazia Sukhwinder Sunita Surinder Tahira Yasmin Zahida"
        ),
        men=_words(
            "Abdul Ajay Akhtar Amarjit Amir Anil Arshad Asif Ashok Balbir Dilip Faisal Gurdeep Harpal Imran Iqbal "
            "Jaswinder Javed Kamran Kashif Khalid Mahmood Mohammed Mukesh Nadeem Naveed Nasir Pervez Rajesh Rajinder "
            "Ramesh Sajid Sanjay Shahid Sukhdev Sunil Suresh Tariq Vijay Vikram Wasim Yasin Zahid"
        ),
        girls=_words(
            "Aisha Alisha Amira Anaya Anika Ayesha Diya Fatima Hafsa Haniya Inaya Jasleen Khadija Kiran Maryam Mahnoor "
            "Naila Noor Nisha Priya Riya Roshni Safa Safiya Sana Sanvi Simran Sumaya Tanisha Zahra Zainab Zara Zoya"
        ),
        boys=_words(
            "Aariz Adam Ali Aman Arjun Armaan Aryan Ayaan Bilal Daud Dev Ehsan Faizan Haider Hamza Harun Hassan "
            "Ibrahim Ismail Jai Kabir Mohammed Musa Omar Rayan Rohan Sahil Subhan Umar Usman Yahya Yusuf Zain Zayd"
        ),
        surnames=_words(
            "Khan Ahmed Patel Hussain Ali Begum Singh Kaur Shah Mohammed Akhtar Malik Iqbal Mahmood Mistry Sharma "
            "Chaudhry Ahmad Aslam Bashir Bhatt Bibi Dhillon Desai Gill Hassan Islam Javed Joshi Kapoor Kumar Mehta "
            "Mirza Miah Nawaz Parmar Qureshi Rafiq Rahman Rana Rashid Raja Saleem Sandhu Sheikh Sidhu Solanki Syed "
            "Thakrar Uddin Ullah Verma Yaqub Zaman"
        ),
        women_take=25,
        ways="honorific",
    ),
    Heritage(
        id="African and Caribbean",
        weight=6,
        women=_words(
            "Abena Adwoa Akosua Beverley Blessing Comfort Doreen Esther Folake Funmilayo Gloria Grace Hyacinth Joy "
            "Joyce Marcia Marva Mercy Ngozi Olufunke Patience Paulette Precious Sonia Temitope Verna Yetunde Yvonne"
        ),
        men=_words(
            "Adebayo Babatunde Chidi Chinedu Clive Courtney Delroy Desmond Ebenezer Emeka Errol Everton Femi Kofi "
            "Kwabena Kwame Leroy Lloyd Neville Oluwaseun Samuel Tendai Tunde Winston"
        ),
        girls=_words(
            "Abigail Adaeze Amara Ayesha Chanelle Chiamaka Destiny Esther Favour Ife Imani Kezia Michelle Naomi Nyasha "
            "Renee Shanice Tamika Temi Tiana Zuri"
        ),
        boys=_words(
            "Ayodele Caleb Dante David Elijah Emmanuel Ethan Isaiah Jeremiah Jermaine Joel Joshua Kwasi Malachi Malik "
            "Micah Nathaniel Samuel Tobi Tyrese Tyrell Zion"
        ),
        surnames=_words(
            "Campbell Mensah Adebayo Francis Brown Grant Osei Owusu Reid Afolabi Adeyemi Agyeman Amankwah Antwi Appiah "
            "Asante Balogun Bailey Boateng Chikwanda Chukwu Clarke Danquah Eze Gayle Gordon Kamara Lawal Moyo Ncube "
            "Nwosu Obeng Ogunleye Okafor Okeke Palmer Sarpong Sesay Sibanda Wray"
        ),
    ),
    Heritage(
        id="Eastern European",
        weight=6,
        women=_words(
            "Agnieszka Alina Anna Barbara Beata Dorota Elena Ewa Irina Ioana Iwona Joanna Justyna Katarzyna Kristina "
            "Magdalena Malgorzata Mariana Marta Mihaela Monika Natalia Oksana Olena Renata Simona Svetlana Tatiana "
            "Yuliia"
        ),
        men=_words(
            "Adrian Andrei Andrzej Bogdan Constantin Dariusz Dmytro Florin Gheorghe Grzegorz Ion Jan Jaroslaw "
            "Krzysztof "
            "Lukasz Maciej Marcin Marek Mihai Oleksandr Pawel Piotr Serhii Tomasz Vasile Vitalie Wojciech Yurii "
            "Zbigniew"
        ),
        girls=_words(
            "Aleksandra Alicja Amelia Ana Antonina Anastasia Daria Diana Gabriela Hanna Iga Jagoda Julia Lena Liliana "
            "Maja Maria Natalia Nikola Oliwia Sofiia Wiktoria Zofia Zuzanna"
        ),
        boys=_words(
            "Adrian Aleksander Antoni Artem Bartosz David Dawid Filip Franciszek Igor Jakub Kacper Luca Maksym Matei "
            "Mateusz Mikolaj Oskar Stefan Szymon Tymon Wojciech"
        ),
        surnames=_words(
            "Kowalski Nowak Popa Adamczyk Albu Balan Bondarenko Ciobanu Dragan Dudek Dumitru Gorski Ionescu Jankowski "
            "Kaczmarek Kovalenko Kowalczyk Kozlowski Kravchenko Lewandowski Lis Mazur Melnyk Moldovan Munteanu Pawlak "
            "Petrov Popescu Rusu Shevchenko Sikora Stan Stoica Szewczyk Szymanski Wisniewski Wojcik Wozniak Wrona "
            "Zielinski"
        ),
    ),
    Heritage(
        id="Celtic",
        weight=4,
        women=_words(
            "Aileen Aoife Bernadette Bridget Bronagh Bronwen Ceri Eilidh Eirlys Geraldine Kirsty Mairead Maeve Morag "
            "Nerys Nuala Rhiannon Rhona Roisin Sian Sinead Siobhan Una"
        ),
        men=_words(
            "Aled Alasdair Angus Brendan Callum Ciaran Cormac Declan Dermot Dylan Eamonn Fergus Gethin Hamish Huw "
            "Iestyn Ieuan Lorcan Niall Owain Rhodri Ruairi Seamus"
        ),
        girls=_words(
            "Aine Aoibhe Caoimhe Carys Catrin Cerys Ciara Eimear Ffion Iona Mairi Mali Nia Niamh Orla Roisin Saoirse "
            "Seren Skye"
        ),
        boys=_words(
            "Cian Cillian Cormac Dafydd Eoghan Euan Fergus Finlay Gruff Ioan Iwan Macsen Oisin Osian Ronan Rory "
            "Ruaridh Tadhg Tomos"
        ),
        surnames=_words(
            "Murphy Kelly Murray Campbell Stewart Byrne Ap-Rhys Brannigan Burke Cadwallader Doherty Drummond "
            "Fitzgerald "
            "Gallagher Gilchrist Gwilliam Heffernan Kavanagh Kilbride Lachlan Llewelyn MacDonald MacInnes MacLeod "
            "McAllister McCarthy McGarry McKenna McQuaid O'Brien O'Connor O'Dowd O'Neill O'Shaughnessy Penhallow "
            "Probert Quinn Sinclair Tregenza Urquhart"
        ),
    ),
    Heritage(
        id="Arab and Somali",
        weight=2,
        women=_words(
            "Amal Asha Dalia Fadumo Faiza Halima Hawa Hodan Huda Khadra Layla Mariam Nadia Rania Sahra Samira Zeinab"
        ),
        men=_words(
            "Abdi Abdirahman Ahmed Bashar Farah Hassan Hussein Ibrahim Khaled Mahmoud Mohamed Mustafa Omar Osman Samir "
            "Tarek Yusuf"
        ),
        girls=_words("Aaliyah Amina Ayan Fatima Hana Hibo Ikram Jana Lina Maryam Nora Salma Sumaya Yasmin"),
        boys=_words("Abdullah Adam Ali Ayub Bilal Hamza Idris Ilyas Khalid Liban Mohamed Omar Sami Yahya Zakaria"),
        surnames=_words(
            "Mohamed Ali Hassan Ahmed Abdi Abdullahi Al-Amin Al-Hadi Al-Masri Elmi El-Sayed Farah Haddad Hussein "
            "Ibrahim Ismail Jama Khalil Mahdi Mansour Mussa Najjar Nur Omar Osman Saleh Warsame Yusuf"
        ),
        women_take=10,
    ),
    Heritage(
        id="Chinese and Vietnamese",
        weight=1,
        women=_words("Fang Hong Hui Jing Lan Li-Hua Ling Mei Min Ngoc Ping Thuy Xiao-Yan Xiu-Ying Yan Ying"),
        men=_words("Bao Chi-Keung Duc Feng Gang Hai Jian Jun Kai-Ming Long Minh Ping Qiang Tao Wei Wing"),
        girls=_words("Amy Chloe Hui-Min Jia-Yi Linh Mei-Ling Si-Ying Tiffany Vivian Xin-Yi Yu-Tong"),
        boys=_words("Alvin Chun-Hei Hao-Ran Jason Jun-Jie Kelvin Khoa Tuan Vincent Yi-Chen Zi-Hao"),
        surnames=_words(
            "Chen Wong Li Wang Nguyen Chan Zhang Liu Lam Cheung Tran Ho Lau Huang Yang Wu Ng Leung Pham Zhou"
        ),
        women_take=10,
        ways="family name first",
    ),
    Heritage(
        id="Iberian",
        weight=1,
        women=_words(
            "Ana Carla Carmen Catarina Cristina Fernanda Ines Isabel Joana Lucia Luisa Manuela Marisol Pilar Rosa "
            "Sofia Teresa"
        ),
        men=_words(
            "Alejandro Antonio Carlos Diego Fernando Francisco Hugo Javier Joao Jorge Jose Luis Manuel Miguel Nuno "
            "Pablo Paulo Pedro Rui Sergio"
        ),
        girls=_words("Alba Beatrice Carolina Daniela Elena Ines Leonor Lia Luana Mariana Martina Paula Valentina"),
        boys=_words("Afonso Bruno Diogo Enzo Gabriel Gael Leandro Martim Nicolas Rafael Rodrigo Santiago Thiago Tomas"),
        surnames=_words(
            "Silva Santos Pereira Garcia Fernandes Costa Rodrigues Martins Almeida Alves Carvalho Castro Cruz Delgado "
            "Ferreira Gomes Gonzalez Jimenez Lopes Lopez Moreno Moreira Navarro Nunes Ortega Pinto Ramos Ribeiro Rocha "
            "Romero Ruiz Soares Sousa Torres Vargas Vieira"
        ),
        women_take=15,
        ways="two surnames",
    ),
)
"""Weights add up to a hundred."""

HONORIFICS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"f": ("Kaur", "Begum", "Bibi", "Khatun"), "m": ("Singh", "Kumar", "Lal", "Din")}
)
"""Middle names, by sex, of the South Asian pool; one clerk's middle name is another clerk's surname."""

_SPELLINGS: Final = """
Mohammed/Mohammad/Muhammad/Mohamed Ahmed/Ahmad/Ahmet Hussain/Hussein/Husain Hassan/Hasan Yusuf/Yousuf/Yousef/Youssef
Ibrahim/Ebrahim Chaudhry/Choudhury/Chowdhury/Chaudhary Qureshi/Quraishi/Kureshi Sheikh/Shaikh/Sheik Syed/Sayed/Saiyed
Rahman/Rehman/Rahmaan Mahmood/Mehmood/Mahmoud Akhtar/Akther/Aktar Begum/Begam/Begom Miah/Mia/Miya Uddin/Ud-Din
Aisha/Ayesha/Aysha/Aaishah Fatima/Fatimah/Fathima Maryam/Mariam/Mariyam Zainab/Zaynab/Zeinab Khadija/Khadijah/Hadija
Safiya/Safia/Saffiya Zahra/Zara/Zehra Yasmin/Yasmeen/Jasmin Shabana/Shabanah Parveen/Perveen/Parvin Nasreen/Nasrin
Amina/Aminah/Ameena Usman/Othman/Osman Umar/Omar/Omer Zayd/Zaid/Zayed Haider/Hyder/Haydar Sandhu/Sandoo Gill/Gyll
Abdirahman/Abdulrahman/Abdirehman Abdullahi/Abdulahi/Abdilahi Fadumo/Faduma/Fatuma Warsame/Warsama Jama/Jaamac
Al-Masri/Almasri/El-Masry Al-Hadi/Alhadi/Elhady Al-Amin/Alamin El-Sayed/Elsayed/Al-Sayed Khaled/Khalid Tarek/Tariq
Oluwaseun/Seun Temitope/Temi Olufunke/Funke Funmilayo/Funmi Babatunde/Tunde Adebayo/Bayo Chinedu/Nedu Ngozi/Ngosi
Kwabena/Kobena Akosua/Akosuah Boateng/Boaten Amankwah/Amankwa Owusu/Owusuh Afolabi/Afolaby Chukwu/Chuku Nwosu/Nwoso
Krzysztof/Christopher/Kris Katarzyna/Kasia/Katherine Agnieszka/Agnes Malgorzata/Gosia/Margaret Wojciech/Wojtek/Voytek
Grzegorz/Greg/Gregory Lukasz/Luke/Lucas Piotr/Peter Pawel/Paul Tomasz/Tom/Thomas Andrzej/Andrew
Aleksandra/Alexandra/Ola Zuzanna/Suzanna/Zuzana Wiktoria/Victoria/Viktoria Oliwia/Olivia Oleksandr/Alexander/Aleksandr
Olena/Elena/Helena Yuliia/Julia/Yulia Serhii/Sergei/Sergiy Dmytro/Dmitri/Dima Yurii/Yuri/Iurii Sofiia/Sofia/Sophia
Maksym/Maxim/Max Gheorghe/George Mihai/Michael Ioana/Joanna Kowalski/Kowalska/Kovalski Nowak/Novak
Wisniewski/Wisniewska/Vishnevsky Lewandowski/Lewandowska Kozlowski/Kozlowska Zielinski/Zielinska
Szymanski/Szymanska/Shimanski Gorski/Gorska Jankowski/Jankowska Kaczmarek/Kachmarek Szewczyk/Shevchik
Shevchenko/Szewczenko Wojcik/Voycik Wozniak/Vozniak Kravchenko/Krawczenko Ionescu/Jonescu Ciobanu/Chobanu
Siobhan/Shivaun/Shevaun Sinead/Shinade Niamh/Neve/Neave Aoife/Eefa Caoimhe/Keeva/Kiva Saoirse/Sersha Roisin/Rosheen
Eilidh/Aylee Ruairi/Rory/Ruairidh Oisin/Osheen Eoghan/Owen/Eoin Tadhg/Tighe Cian/Kian/Kean Ciara/Kiera/Keira
Ciaran/Kieran/Kieron Sian/Shan/Sharn Rhiannon/Rianon Cerys/Kerys Ffion/Fion Catrin/Katrin Aine/Anya Mairi/Mhairi/Marie
Seamus/Shamus/James Niall/Neil/Nial O'Brien/OBrien/O-Brien O'Connor/OConnor/Connor O'Neill/ONeill/O'Neil
O'Dowd/ODowd/Dowd O'Shaughnessy/OShaughnessy MacDonald/McDonald/Macdonald MacLeod/McLeod/Macleod
MacInnes/McInnes/Macinnes McAllister/MacAlister/McAlister McCarthy/MacCarthy/Mccarthy McKenna/Mackenna
McQuaid/MacQuaid Llewelyn/Llewellyn/Lewellyn Gallagher/Gallacher Doherty/Docherty/O'Doherty
Kavanagh/Cavanagh/Kavanaugh Nguyen/Ngyuen/Nguyan Zhang/Chang/Cheung Huang/Hwang/Wong Wang/Wong Zhou/Chow/Chou Li/Lee
Liu/Lau Wu/Woo Tran/Chan Jing/Ching Xiao-Yan/Xiaoyan Xiu-Ying/Xiuying Li-Hua/Lihua Chi-Keung/Chikeung Kai-Ming/Kaiming
Jun-Jie/Junjie Zi-Hao/Zihao Hui-Min/Huimin Jia-Yi/Jiayi Xin-Yi/Xinyi Fernandes/Fernandez Rodrigues/Rodriguez
Lopes/Lopez Gomes/Gomez Sousa/Souza/De-Sousa Silva/Da-Silva Santos/Dos-Santos Costa/Da-Costa Joao/John Jose/Josue
Ines/Inez/Agnes Tomas/Thomas Luis/Louis Sofia/Sophia Rafael/Raphael Stephen/Steven Steven/Stephen Philip/Phillip
Catherine/Katherine/Kathryn Katherine/Catherine/Kathryn Kathryn/Catherine Clare/Claire Claire/Clare Ann/Anne Anne/Ann
Lynn/Lynne Sara/Sarah Sarah/Sara Tracey/Tracy Tracy/Tracey Lesley/Leslie Geoffrey/Jeffrey Jeffrey/Geoffrey Sean/Shaun
Shaun/Sean Alan/Allan Allan/Alan Nicholas/Nicolas Isabel/Isobel/Isabelle Isabelle/Isabel Elliot/Elliott Elliott/Eliot
Connor/Conor Conor/Connor Finley/Finlay Finlay/Finley Aiden/Aidan Aidan/Aiden Theo/Teo Harriet/Harriett
Abigail/Abigayle Rebecca/Rebekah Caitlin/Katelyn Chloe/Cloe Zoe/Zoey Lily/Lilly Lilly/Lily Evie/Evy Darcey/Darcy
Jayden/Jaden/Jaiden Kayden/Kaden Jaxon/Jackson Reece/Rhys Rhys/Reece Louis/Lewis Lewis/Louis Luca/Luka Isaac/Issac
Zach/Zac/Zack Brown/Browne Clarke/Clark Clark/Clarke Taylor/Tayler/Tailor Smith/Smyth/Smythe Davies/Davis
Stevens/Stephens Phillips/Philips Thompson/Thomson Johnson/Johnston Read/Reed/Reid Reid/Reed Green/Greene
Harris/Harries Moore/Moor/More Cooper/Cowper Allen/Allan Watson/Whatson Rogers/Rodgers Bailey/Bayley Lloyd/Loyd
Pearson/Pierson Barrett/Barratt Walsh/Welsh Price/Pryce Wright/Right Knight/Night White/Whyte Shaw/Shore
Fairbrother/Farebrother Greenhalgh/Greenhaugh Haigh/Hague Holdsworth/Houldsworth Cresswell/Creswell
"""
SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {first: tuple(others) for first, *others in (group.split("/") for group in _SPELLINGS.split())}
)
"""A name -> other ways in which people write it when they only hear it, or translate it."""

_SHORT: Final = """
Abigail/Abi/Gail Adebayo/Bayo Albert/Bert Alexander/Alex/Sandy Alexandra/Alex/Lexi Alfred/Alf/Alfie Alison/Ali
Amanda/Mandy Amelia/Millie Andrew/Andy/Drew Andrea/Andi Angela/Angie Anthony/Tony/Ant Antony/Tony Arthur/Art
Benjamin/Ben/Benji Bernard/Bernie Bethany/Beth Beverley/Bev Bradley/Brad Brandon/Bran Brenda/Bren Callum/Cal
Cameron/Cam Caroline/Carrie/Caz Catherine/Cath/Cathy/Kate Charles/Charlie/Chuck Charlotte/Lottie/Charlie Cheryl/Chez
Christina/Tina/Chris Christine/Chris/Chrissie Christopher/Chris/Kit Clifford/Cliff Courtney/Court Damian/Damo
Daniel/Dan/Danny Darren/Daz David/Dave/Davy Deborah/Debbie/Debs Debra/Debbie Desmond/Des Dominic/Dom Donald/Don
Donna/Don Dorothy/Dot/Dotty Douglas/Doug Edward/Ed/Ted/Eddie Eleanor/Ellie/Nell Elijah/Eli
Elizabeth/Liz/Beth/Betty/Lizzie Emmanuel/Manny Emily/Em Emma/Em Frances/Fran Francesca/Fran/Chessie
Frederick/Fred/Freddie Gabriella/Gabby Gareth/Gaz Gary/Gaz Geoffrey/Geoff Georgina/Georgie/Gina Gerald/Gerry
Gillian/Gill Graham/Gray Gregory/Greg Hannah/Han Harold/Harry Harriet/Hattie Harrison/Harry Heather/Hev Henry/Harry
Imogen/Immy Isabella/Bella/Izzy Isabelle/Izzy/Belle Jacob/Jake Jacqueline/Jackie/Jacqui James/Jim/Jimmy/Jamie
Janet/Jan Janice/Jan Jason/Jase Jasmine/Jas Jeffrey/Jeff Jennifer/Jenny/Jen Jeremy/Jez Jessica/Jess/Jessie Joanne/Jo
Jonathan/Jon/Jonny Joseph/Joe/Joey Josephine/Jo/Josie Joshua/Josh Judith/Judy Julie/Jules Katherine/Kate/Kathy/Katie
Kathleen/Kath/Kathy Kathryn/Kath/Kate Kelly/Kel Kenneth/Ken/Kenny Kevin/Kev Kimberley/Kim Laura/Lau Lauren/Loz
Lawrence/Larry/Laz Leonard/Len/Lenny Leslie/Les Lorraine/Lol Louise/Lou Madison/Maddie Malcolm/Mal
Margaret/Maggie/Peggy/Meg Marilyn/Lyn Martin/Marty Mary/Molly/May Matilda/Tilly Matthew/Matt Maureen/Mo Maurice/Mo
Maxine/Max Maxwell/Max Megan/Meg Melanie/Mel Melissa/Mel/Lissa Michael/Mick/Mike/Micky Michelle/Shell/Chelle
Mohammed/Mo Nancy/Nan Natalie/Nat Natasha/Tash Nathan/Nate Nathaniel/Nat/Nate Nicholas/Nick/Nicky Nicola/Nicky/Nic
Oliver/Ollie Olivia/Liv/Livvy Pamela/Pam Patricia/Pat/Trish Patrick/Pat/Paddy Pauline/Paul Penelope/Penny Peter/Pete
Philip/Phil Rachel/Rach Raymond/Ray Rebecca/Becky/Becca Reginald/Reg/Reggie Richard/Rick/Dick/Rich
Robert/Bob/Rob/Bobby Roderick/Rod Ronald/Ron/Ronnie Rosemary/Rose/Rosie Russell/Russ Samantha/Sam/Sammy
Samuel/Sam/Sammy Sandra/Sandy Sebastian/Seb Sharon/Shaz Shannon/Shan Sheila/She Simon/Si Sophie/Soph Spencer/Spence
Stanley/Stan Stephanie/Steph Stephen/Steve Steven/Steve Stuart/Stu Susan/Sue/Suzie Suzanne/Sue/Suzie Sylvia/Syl
Terence/Terry Teresa/Terri/Tess Theodore/Theo/Ted Theresa/Terri Thomas/Tom/Tommy Timothy/Tim Tracey/Trace Trevor/Trev
Valerie/Val Vanessa/Nessa Veronica/Ronnie Victor/Vic Victoria/Vicky/Tori/Vic Vincent/Vince Walter/Wally Wendy/Wend
William/Bill/Will/Billy/Liam Winston/Win Zachary/Zak/Zach
"""
SHORT_FORMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {full: tuple(short) for full, *short in (group.split("/") for group in _SHORT.split())}
)
"""What a custody sergeant writes down when someone gives the name they are called by."""

_KNOWN_STREETS: Final = """
Alderman's Walk, Anvil Yard, Barley Close, Beacon Rise, Bellfounder Street, Bilberry Lane, Bobbin Mill Road,
Brickfield Terrace, Canal Wharf, Chantry Gardens, Cinder Path, Cobbler's Row, Coldharbour Crescent, Corn Hill View,
Curlew Way, Dyehouse Lane, Eastgate Parade, Fallowfield Drive, Ferryman's Court, Foundry Square, Glebe Meadow,
Goosefeather Lane, Hatters Croft, Heronsgate, Hobbs Bottom, Ironstone Avenue, Jubilee Buildings, Kestrel Mount,
Ladybower Road, Lamplighter Street, Larkspur Rise, Linnet Grove, Malthouse Close, Mercer's Piece, Nightingale Flats,
Old Tannery Road, Orchard Bank, Packhorse Lane, Penny Brook, Quarry Mead, Ropewalk, Saddlers Fold, Signal Box Lane,
Spindle Street, Tenterfield Road, Thimble Hall Lane, Tollgate Drive, Wagtail Close, Weavers Green, Wheelwright Avenue
"""
STREETS: Final = tuple(
    dict.fromkeys(
        (
            *(" ".join(name.split()) for name in _KNOWN_STREETS.split(",")),
            *(f"{head.capitalize()}{tail} {kind}" for tail in _TAILS for head in _HEADS for kind in _KINDS),
        )
    )
)
"""Fifty by name, the rest put together."""
